// Which names a file may have that a stranger sends. A name stays within the folder, is displayed as what it is, and means the
// same on every system. What a shell or a tool would heed by itself, a leading dot or dash, is for whoever asks for it.

import { PosternError } from '../../errors.ts'
import { printable } from '../../wire/text.ts'
import { isPartName } from './parts.ts'

/** Linux, macOS and Windows agree on this limit for a name. */
const MAX_NAME_BYTES = 255

/** Windows takes these for devices, in any folder and with any extension ("Naming Files, Paths, and Namespaces"). */
const device = /^(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(?:\.|$)/iu

/** Returns the name. Throws `io` with a sentence for both sides if it is none that is taken. */
export function checkFileName(
  name: unknown,
  { dotfiles = false }: { readonly dotfiles?: boolean | undefined }
): string {
  const shown = printable(JSON.stringify(name) ?? 'nothing').slice(0, 80)
  const why = typeof name === 'string' ? whyNever(name) : 'it is no text'
  if (typeof name !== 'string' || why)
    throw new PosternError('io', `${shown} is not allowed as the name of a file: ${why}; send it under another name`)
  const first = /^[.-]/.exec(name)?.[0]
  if (!first || dotfiles) return name
  const begins = first === '.' ? 'a dot' : 'a dash'
  throw new PosternError('io', `${shown} begins with ${begins}; only a receiver with --dotfiles takes such names`)
}

/** Why nobody takes a file of this name. */
function whyNever(name: string): string | undefined {
  if (name === '') return 'it is empty'
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return `it is longer than ${MAX_NAME_BYTES} bytes`
  if (!name.isWellFormed() || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(name)) return 'it is no printable text'
  if (/[/\\]/.test(name)) return 'it has a separator of folders'
  const invisible = /\p{Cf}/u.exec(name)?.[0]
  if (invisible) return `it has the invisible character ${codePoint(invisible)}`
  if (name.includes(':')) return 'it has a colon, which some systems take for a stream or a folder'
  if (/[.\s]$/u.test(name)) return 'it ends with a dot or a space, which some systems drop'
  if (device.test(name)) return 'Windows takes it for a device'
  if (isPartName(name)) return 'transfers that are under way have such names'
  return undefined
}

const codePoint = (text: string): string => `U+${text.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}`
