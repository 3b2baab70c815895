// Events, as Node's EventEmitter has them, as far as a connection needs it: this runs in browsers too.

type Listener<Values extends unknown[]> = (...values: Values) => unknown

interface Entry {
  readonly listener: Listener<never>
  readonly call: (values: unknown[]) => unknown
  readonly isOnce: boolean
}

export class Emitter<Events extends { [Name in keyof Events]: unknown[] }> {
  readonly #listeners = new Map<keyof Events, readonly Entry[]>()

  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    return this.#add(name, listener, false)
  }

  /** The next one alone. */
  once<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    return this.#add(name, listener, true)
  }

  off<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    this.#remove(
      name,
      this.#listeners.get(name)?.findLast(entry => entry.listener === listener)
    )
    return this
  }

  /** Those that listen now are called, in their order; what one of them throws goes to who emits. */
  emit<Name extends keyof Events>(name: Name, ...values: Events[Name]): boolean {
    const listeners = this.#listeners.get(name) ?? []
    for (const entry of listeners) {
      if (entry.isOnce) this.#remove(name, entry)
      entry.call(values)
    }
    return listeners.length > 0
  }

  #add<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>, isOnce: boolean): this {
    const call = (values: unknown[]) => listener(...(values as Events[Name]))
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), { listener, call, isOnce }])
    return this
  }

  #remove(name: keyof Events, gone: Entry | undefined): void {
    this.#listeners.set(
      name,
      (this.#listeners.get(name) ?? []).filter(entry => entry !== gone)
    )
  }
}
