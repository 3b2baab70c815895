// The C library, called from JavaScript: the only file that knows by what. koffi is an optional dependency with prebuilt binaries; where
// it is not installed, or the system is not one whose structures raw.ts lays out, there is none, and the relay uses dgram.
//
// node:ffi is to take koffi's place once it is in releases that are supported: what is needed of either is `Foreign`.

import { createRequire } from 'node:module'
import { endianness } from 'node:os'

/** A function of the C library: whole numbers, and memory of ours that the callee may use until it returns. */
export type Call = (...args: readonly (number | Uint8Array | null)[]) => number

export interface Foreign {
  /** The function of this name; its parameters in C. */
  call(result: 'int' | 'long', name: string, parameters: readonly string[]): Call
  /** Where the memory of an array begins. The caller keeps it alive, and off the heap of V8, which moves what is on it. */
  address(memory: Uint8Array): bigint
  /** The number of the error of the call before, on this thread. */
  errno(): number
  /** Whose it is, for people: `koffi 3.3.4`. */
  readonly name: string
}

interface Koffi {
  readonly version: string
  load(path: string): { func(declaration: string): Call }
  address(memory: Uint8Array): bigint
  errno(): number
}

/** The C library of this process, or why it cannot be called. */
export function foreign(): Foreign | string {
  const { platform, arch } = process
  if (platform !== 'linux') return `${platform} has no recvmmsg`
  if ((arch !== 'x64' && arch !== 'arm64') || endianness() !== 'LE') return `${arch} is not supported`
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi
    // Without a path: what this process has loaded already, whichever C library that is.
    const library = koffi.load(null as unknown as string)
    return {
      call: (result, name, parameters) => library.func(`${result} ${name}(${parameters.join(', ')})`),
      address: memory => koffi.address(memory),
      errno: () => koffi.errno(),
      name: `koffi ${koffi.version}`
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'MODULE_NOT_FOUND' ? 'koffi is not installed' : `koffi cannot be used: ${message.split('\n')[0]}`
  }
}
