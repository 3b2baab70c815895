// Why a file could not be stored, as both sides are told it.

import { PosternError } from '../../errors.ts'

/** The sentence for what the file system, or postern itself, has refused. */
export function notStored(error: unknown, name: string): PosternError {
  if (error instanceof PosternError) return error
  return new PosternError('io', sentenceFor(codeOf(error), name), { cause: error })
}

export function otherContent(name: string): PosternError {
  return new PosternError('io', `a different file named "${name}" is already there`)
}

/** No use going on from what has come: it would not fit the next time either, or it is not that file. */
export const isHopeless = (error: unknown): boolean => ['ENOSPC', 'EDQUOT', 'EFBIG', 'EEXIST'].includes(codeOf(error))

export function ignoreMissing(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}

function sentenceFor(code: string, name: string): string {
  switch (code) {
    case 'EEXIST':
      return otherContent(name).message
    case 'ENOSPC':
    case 'EDQUOT':
      return `no space left for "${name}"`
    case 'EFBIG':
      return `"${name}" is larger than a file may be there`
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'the receive folder may not be written to'
    case 'ENOENT':
    case 'ENOTDIR':
      return 'the receive folder does not exist'
    default:
      return `"${name}" could not be stored (${code})`
  }
}
