// Alice sends and Bob receives, over a connection on loopback, each with a folder. For tests of the services.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { PosternError } from '../../src/errors.ts'
import type { Connection } from '../../src/peer/connection/connection.ts'
import { type Received, type ReceiveOptions, receive } from '../../src/peer/services/receive.ts'
import { type SendOptions, type Sent, send } from '../../src/peer/services/send.ts'
import { endNative } from '../end-native.ts'
import { connectedPair } from './loopback.ts'

const made: Connection[] = []
const folders: string[] = []

/** For `test.after.always`. */
export async function clearAway(): Promise<void> {
  await Promise.all(made.map(connection => connection.close()))
  await Promise.all(folders.map(folder => rm(folder, { recursive: true, force: true })))
  endNative()
}

export interface Post {
  readonly alice: Connection
  readonly bob: Connection
  /** Where alice's files are, and where bob's go. */
  readonly from: string
  readonly to: string
  /** What each transfer became for the receiver. */
  readonly ended: Promise<Received[] | PosternError>[]
}

export async function post(options: Partial<ReceiveOptions> = {}): Promise<Post> {
  const [{ alice, bob }, from, to] = await Promise.all([connectedPair(), folderNamed('from'), folderNamed('to')])
  const ended: Post['ended'] = []
  made.push(alice, bob)
  bob.serve('send', stream => {
    const received = receive(stream, { folder: to, from: 'alice', ...options })
    ended.push(received.catch((error: PosternError) => error))
  })
  return { alice, bob, from, to, ended }
}

export async function folderNamed(name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `postern-${name}-`))
  folders.push(folder)
  return folder
}

export async function file({ from }: Pick<Post, 'from'>, name: string, content: Buffer | string): Promise<string> {
  await writeFile(join(from, name), content)
  return join(from, name)
}

export async function one(alice: Connection, path: string, options?: SendOptions): Promise<Sent> {
  const [sent] = await send(alice, [path], options)
  if (!sent) throw new Error('nothing was sent')
  return sent
}

/** It fails with one sentence, and a code of the services. */
export async function fails(t: ExecutionContext, work: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await t.throwsAsync(work, { instanceOf: PosternError, message })
  if (error instanceof PosternError) t.true(error.code === 'io' || error.code === 'bad-message')
  t.notRegex(error?.message ?? '', /\n/)
}
