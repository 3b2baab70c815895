// The secret that both ends of a connection share, and by which they know each other on a later path. Each has said a nonce on
// the first path's control channel, which only the two can read (DTLS). Who made another path, and met the gateway, does not
// know it. By WebCrypto, which Node and browsers have, and which answers a moment later.

const NONCE_BYTES = 24

/** HMAC with SHA-256 (RFC 2104); the key by HKDF (RFC 5869). */
const MAC = { name: 'HMAC', hash: 'SHA-256', length: 256 } as const

export type Role = 'caller' | 'callee'

export class ResumeKey {
  /** What this side says on the first path. */
  readonly nonce = base64(crypto.getRandomValues(new Uint8Array(NONCE_BYTES)))
  readonly #role: Role
  readonly #session: string
  #key: Promise<CryptoKey> | undefined

  /** @param session the id of the session that made the first path */
  constructor(role: Role, session: string) {
    this.#role = role
    this.#session = session
  }

  /** Whether the far side's nonce is known: before that, nothing can be resumed. */
  get isKnown(): boolean {
    return this.#key !== undefined
  }

  /** Takes the far side's nonce, once. */
  agree(nonce: string): void {
    const [caller, callee] = this.#role === 'caller' ? [this.nonce, nonce] : [nonce, this.nonce]
    this.#key ??= derived(caller + callee, this.#session)
  }

  /** The proof of this side on the path that the session `path` made. */
  async proof(path: string): Promise<string> {
    const key = await this.#known
    return base64(new Uint8Array(await crypto.subtle.sign(MAC.name, key, said(this.#role, path))))
  }

  /** Whether `mac` is the far side's proof on that path. */
  async proves(mac: string, path: string): Promise<boolean> {
    const bytes = bytesOf(mac)
    if (!this.isKnown || !bytes) return false
    const role = this.#role === 'caller' ? 'callee' : 'caller'
    return await crypto.subtle.verify(MAC.name, await this.#known, bytes, said(role, path))
  }

  get #known(): Promise<CryptoKey> {
    return this.#key ?? Promise.reject(new Error('nothing was agreed on'))
  }
}

type CryptoKey = Awaited<ReturnType<typeof derived>>

async function derived(secret: string, salt: string) {
  const material = await crypto.subtle.importKey('raw', utf8(secret), 'HKDF', false, ['deriveKey'])
  const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: utf8(salt), info: utf8('postern resume') }
  return await crypto.subtle.deriveKey(hkdf, material, MAC, false, ['sign', 'verify'])
}

const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text)

const said = (role: Role, path: string): Uint8Array<ArrayBuffer> => utf8(`${role} ${path}`)

const base64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes))

function bytesOf(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), character => character.charCodeAt(0))
  } catch {
    return undefined
  }
}
