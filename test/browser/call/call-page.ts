// A page of a call as a test drives it, in whatever browser, and wherever that is.

import type { ExecutionContext } from 'ava'
import { strings } from '../../../src/call/words/strings.ts'
import { tools } from './tools.ts'

/** What comes in by one connection. */
export interface Received {
  readonly frames: number
  /** Of sound, those that had arrived when they were played. */
  readonly samples: number
  readonly width: number
  readonly height: number
}

/** The picture of somebody while something was done to it. */
export interface Watched {
  /** The longest time without another frame, in milliseconds. */
  readonly gapMs: number
  readonly frames: number
  /** Whether it still comes by the same stream of the same connection. */
  readonly isSame: boolean
}

/** As Chromium and Firefox say it. */
const unanswered =
  /^WebSocket connection to |^Firefox can’t establish a connection to |^The connection to wss?:\S+ was interrupted/

/** So many frames are decoded, and so many samples are played: half a second of sound. */
export const SEEN = { frames: 10, samples: 24_000 } as const

export interface Ends {
  evaluate(script: string): Promise<unknown>
  /** What the page has complained of. */
  complaints(): Promise<readonly string[]>
  close(): Promise<unknown>
}

export class CallPage implements AsyncDisposable {
  readonly #ends: Ends
  /** As it is written in the lobby. */
  readonly name: string

  constructor(ends: Ends, name: string) {
    this.#ends = ends
    this.name = name
  }

  /** The page is loaded: it has what a test needs from now on. */
  async loaded(): Promise<void> {
    await this.#ends.evaluate(tools)
  }

  /** What the browser notes of a gateway that does not answer is no fault of the page. */
  async complaints(): Promise<readonly string[]> {
    return (await this.#ends.complaints()).filter(text => !unanswered.test(text))
  }

  /** Runs the body of an async function, whose \`given\` is JSON. */
  async run(body: string, given: unknown = {}): Promise<unknown> {
    return await this.#ends.evaluate(`(async () => { const given = ${JSON.stringify(given)}; ${body} })()`)
  }

  /** Presses a control, as soon as it is there. */
  async press(name: string): Promise<void> {
    await this.run('(await tools.when("the control " + given, () => tools.control(given))).click()', name)
  }

  /** Resolves when there is a control of this name. */
  async has(name: string): Promise<void> {
    await this.run('await tools.when("the control " + given, () => tools.control(given))', name)
  }

  /** Resolves when the page says this somewhere. */
  async says(...texts: readonly string[]): Promise<void> {
    const look = 'tools.when(text, () => tools.said().includes(text))'
    await this.run(`for (const text of given) await ${look}`, texts.map(plain))
  }

  /** Resolves when the page says this nowhere. */
  async saysNot(text: string): Promise<void> {
    await this.run('await tools.when("no " + given, () => !tools.said().includes(given))', plain(text))
  }

  /** Resolves when somebody's picture has, or has not, these words on it, which a screen reader is told too. */
  async tileSays(name: string, text: string, isSaid = true): Promise<void> {
    const look = 'Boolean(tools.tile(given.name)?.textContent.includes(given.text)) === given.isSaid'
    await this.run(`await tools.when(given.name + ' ' + given.isSaid + ' ' + given.text, () => ${look})`, {
      name,
      text,
      isSaid
    })
  }

  /** Resolves when the badge on somebody's picture is this word. */
  async hasBadge(name: string, word: string): Promise<void> {
    await this.run('await tools.when("badge " + given.word, () => tools.badge(given.name) === given.word)', {
      name,
      word
    })
  }

  /** Takes the devices that are asked for in the lobby, and looks at oneself. */
  async checksDevices(): Promise<void> {
    await this.press(strings.lobby.useBoth)
    await this.run(
      `await tools.until('the own picture', () => document.querySelector('.preview video')?.videoWidth > 0)`
    )
  }

  /** Gives a name, and asks for being let in. */
  async joins(): Promise<void> {
    await this.run('await tools.fill("input[name=name]", given)', this.name)
    await this.press(strings.lobby.join)
  }

  /** From the lobby into a call in which nobody has to let it in. */
  async enters(): Promise<void> {
    await this.checksDevices()
    await this.joins()
    await this.isInside()
  }

  async isInside(): Promise<void> {
    await this.run('await tools.when("the call", () => document.querySelector("#stage"))')
  }

  /** From the lobby into a call, by leave of somebody inside. */
  async isLetIn(by: CallPage): Promise<void> {
    await this.checksDevices()
    await this.joins()
    await this.says(strings.waiting.heading)
    await by.press(strings.call.admit)
    await this.isInside()
  }

  /** Decodes and plays what comes by so many connections from now on. */
  async seesOthers(t: ExecutionContext, count = 1, { frames, samples }: { frames: number; samples: number } = SEEN) {
    const seen = (await this.run('return (await tools.sees(given))', { frames, samples, by: count })) as Received[]
    const enough = seen.filter(one => one.frames >= frames && one.samples >= samples)
    const says = enough.length === count ? '' : await this.run('return tools.said()')
    t.is(enough.length, count, `${this.name} sees ${JSON.stringify(seen)}; its page says ${says}`)
    return enough
  }

  /** Watches the picture of the other one of two while something is done. */
  async watching(deed: () => Promise<unknown>): Promise<Watched> {
    await this.run('globalThis.watched = await tools.watch()')
    await deed()
    return (await this.run('return await watched()')) as Watched
  }

  async writes(text: string): Promise<void> {
    await this.run('await tools.fill(".write textarea", given)', text)
    await this.press(strings.chat.send)
  }

  /** Attaches a file whose bytes are 0 to 255 again and again. */
  async attaches(name: string, bytes: number): Promise<void> {
    await this.run(
      `const field = await tools.when('the field for files', () => document.querySelector('.write input[type=file]:enabled'))
      const files = new DataTransfer()
      files.items.add(new File([Uint8Array.from({ length: given.bytes }, (_, at) => at)], given.name))
      field.files = files.files
      field.dispatchEvent(new Event('change', { bubbles: true }))`,
      { name, bytes }
    )
  }

  /** Of the file that was received last: how many bytes, and whether they are those of `attaches`. */
  async received(): Promise<unknown> {
    return await this.run(`const bytes = new Uint8Array(await tools.saved.at(-1).arrayBuffer())
      return { bytes: bytes.length, isWhole: bytes.every((byte, at) => byte === at % 256) }`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ends.close()
  }
}

/** As a page says it: without line breaks. */
const plain = (text: string): string => text.replaceAll(/\s+/g, ' ')
