import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import test from 'ava'
import { PosternError } from '../../src/errors.ts'
import { Reader } from '../../src/peer/services/lines.ts'
import { ping } from '../../src/peer/services/ping.ts'
import { pipe } from '../../src/peer/services/pipe.ts'
import { type Progress, type Sent, send } from '../../src/peer/services/send.ts'
import { clearAway, fails, file, folderNamed, one, post } from './post.ts'

const run = promisify(execFile)
const farSide = new URL('far-side.ts', import.meta.url).pathname

test.after.always(clearAway)

async function bigFile(): Promise<string> {
  const path = join(await folderNamed('big'), 'big')
  await writeFile(path, Buffer.alloc(900_000))
  return path
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

test('a file arrives intact, and both sides know its digest', async t => {
  const p = await post()
  const content = randomBytes(5_000_001)
  const path = await file(p, 'tool.bin', content)
  const sent = await one(p.alice, path)
  t.is(sent.sha256, sha256(content))
  t.deepEqual([sent.file, sent.bytes, sent.outcome], ['tool.bin', 5_000_001, 'sent'])
  t.true(content.equals(await readFile(join(p.to, 'tool.bin'))))
  t.deepEqual(await readdir(p.to), ['tool.bin'])
  const received = await p.ended[0]
  t.like(received, [{ file: 'tool.bin', sha256: sent.sha256 }])
})

test('several files travel together, an empty one among them, and odd names survive', async t => {
  const p = await post()
  const names = ['empty', 'grüße 👋.txt', 'a'.repeat(255)]
  const paths = await Promise.all(names.map((name, i) => file(p, name, Buffer.alloc(i * 70_000, i))))
  const sent = await send(p.alice, paths)
  t.deepEqual(
    sent.map(({ bytes }) => bytes),
    [0, 70_000, 140_000]
  )
  t.deepEqual((await readdir(p.to)).sort(), [...names].sort())
})

test('progress counts up to the total, at most ten times a second', async t => {
  const p = await post()
  const seen: Progress[] = []
  const startMs = performance.now()
  await one(p.alice, await file(p, 'big', Buffer.alloc(30_000_000)), { onProgress: progress => seen.push(progress) })
  const most = (performance.now() - startMs) / 100 + 2
  t.true(seen.length >= 2 && seen.length <= most, `${seen.length} events`)
  t.deepEqual(seen.at(-1), { file: 'big', bytes: 30_000_000, total: 30_000_000 })
  t.true(seen.every(({ bytes }, i) => i === 0 || bytes >= (seen[i - 1]?.bytes ?? 0)))
})

test('a file that is already there is told so, and one with other content is never touched', async t => {
  const p = await post()
  const path = await file(p, 'note', 'the same')
  t.is((await one(p.alice, path)).outcome, 'sent')
  t.is((await one(p.alice, path)).outcome, 'already-there')
  for (const other of ['the sane', 'longer than before', '']) {
    await writeFile(path, other)
    await fails(t, one(p.alice, path), /^peer bob: a different file named "note" is already there$/)
  }
  t.is(await readFile(join(p.to, 'note'), 'utf8'), 'the same')
  t.deepEqual(await readdir(p.to), ['note'])
})

test('a transfer that was cut goes on where it stopped, and nothing half-written has the final name', async t => {
  const p = await post()
  const content = randomBytes(40_000_000)
  const path = await file(p, 'long', content)
  const cut = new AbortController()
  const onProgress = ({ bytes }: Progress) => bytes > 8_000_000 && cut.abort()
  await fails(t, one(p.alice, path, { onProgress, signal: cut.signal }), /^the transfer was interrupted$/)
  t.is(String(await p.ended[0]), 'PosternError: peer alice: the transfer was interrupted')
  const [part = '', ...others] = await readdir(p.to)
  t.regex(part, /^\.long\.[0-9a-f]{16}\.[0-9a-f]{16}\.part$/)
  t.deepEqual(others, [])
  const partBytes = (await stat(join(p.to, part))).size
  t.true(partBytes > 0 && partBytes < content.length)
  const first: number[] = []
  const sent = await one(p.alice, path, { onProgress: ({ bytes }) => first.push(bytes) })
  t.is(sent.outcome, 'resumed')
  t.is(first[0], partBytes)
  t.is(sent.sha256, sha256(content))
  t.true(content.equals(await readFile(join(p.to, 'long'))))
  t.deepEqual(await readdir(p.to), ['long'])
})

test('a part file that is not the beginning of the file is thrown away', async t => {
  const p = await post()
  const content = randomBytes(40_000_000)
  const path = await file(p, 'long', content)
  const cut = new AbortController()
  const onProgress = ({ bytes }: Progress) => bytes > 8_000_000 && cut.abort()
  await t.throwsAsync(one(p.alice, path, { onProgress, signal: cut.signal }))
  await p.ended[0]
  const [part = ''] = await readdir(p.to)
  const damaged = await readFile(join(p.to, part))
  damaged[1_000] = ~(damaged[1_000] ?? 0)
  await writeFile(join(p.to, part), damaged)
  t.is((await one(p.alice, path)).outcome, 'sent')
  t.true(content.equals(await readFile(join(p.to, 'long'))))
})

test('a transfer begun anew takes over from the one that is still under way', async t => {
  const p = await post()
  const path = await file(p, 'twice', randomBytes(60_000_000))
  let again: Promise<Sent> | undefined
  const onProgress = ({ bytes }: Progress) => {
    if (bytes > 4_000_000) again ??= one(p.alice, path)
  }
  await fails(t, one(p.alice, path, { onProgress }), /^peer bob: the sender began this transfer anew$/)
  t.is((await again)?.bytes, 60_000_000)
  t.deepEqual(await readdir(p.to), ['twice'])
})

test('of two that take over at once the later one does, and never do both write', async t => {
  const p = await post()
  const path = await file(p, 'thrice', randomBytes(60_000_000))
  let again: Promise<PromiseSettledResult<Sent>[]> | undefined
  const onProgress = ({ bytes }: Progress) => {
    if (bytes > 4_000_000) again ??= Promise.allSettled([one(p.alice, path), one(p.alice, path)])
  }
  await fails(t, one(p.alice, path, { onProgress }), /began this transfer anew$/)
  const ends = (await again) ?? []
  t.is(ends.filter(({ status }) => status === 'fulfilled').length, 1)
  const loser = ends.find(end => end.status === 'rejected')
  t.regex(loser?.reason.message, /began this transfer anew$/)
  t.deepEqual(await readdir(p.to), ['thrice'])
})

test('a stranger who breaks the protocol is told, and the receiver lives on', async t => {
  const p = await post()
  const broken = ['{}', 'null', '{"v":1}', '{"v":1,"type":"file"}', 'x'.repeat(10_000)]
  const header = { v: 1, type: 'file', name: 'n', mtimeMs: 0, mode: 0 }
  for (const size of [-1, 1.5, 2 ** 60, '3', null]) broken.push(JSON.stringify({ ...header, size }))
  for (const line of broken) {
    const stream = await p.alice.open('send')
    stream.write(`${line}\n`)
    await fails(t, new Reader(stream).line(), /^peer bob: /)
  }
  t.is((await one(p.alice, await file(p, 'fine', 'fine'))).bytes, 4)
})

test('what cannot be sent is said in one sentence, before anything is', async t => {
  const p = await post()
  const good = await file(p, 'good', 'x')
  await mkdir(join(p.from, 'folder'))
  await run('mkfifo', [join(p.from, 'fifo')])
  await fails(t, send(p.alice, [good, join(p.from, 'none')]), /none does not exist$/)
  await fails(t, send(p.alice, [good, join(p.from, 'folder')]), /folder is a directory; send its files/)
  await fails(t, send(p.alice, [good, join(p.from, 'fifo')]), /fifo is not a regular file$/)
  t.deepEqual(await readdir(p.to), [])
})

test('a receiver without a folder, or whose folder is gone, says so', async t => {
  const [without, gone] = await Promise.all([post({ folder: undefined }), post({ folder: '/nowhere/gone' })])
  const path = await file(without, 'x', 'x')
  await fails(t, one(without.alice, path), /^peer bob: there is no folder to receive files in$/)
  await fails(t, one(gone.alice, path), /^peer bob: the receive folder does not exist$/)
})

test('a file that shrinks or changes while it is being sent never arrives', async t => {
  const p = await post()
  const change: Record<string, (path: string) => Promise<void>> = {
    shrinks: path => truncate(path, 1_000),
    changes: path => utimes(path, 1, 1)
  }
  for (const [name, apply] of Object.entries(change)) {
    const path = await file(p, name, Buffer.alloc(30_000_000))
    let applied: Promise<void> | undefined
    const onProgress = () => {
      applied ??= apply(path)
    }
    await fails(t, one(p.alice, path, { onProgress }), new RegExp(`^"${name}" changed while it was being sent$`))
    t.regex(String(await p.ended.at(-1)), new RegExp(`peer alice: "${name}" changed while it was being sent$`))
    await applied
  }
  t.deepEqual(
    (await readdir(p.to)).filter(name => !name.endsWith('.part')),
    []
  )
})

test('a connection that ends midway is an error on both sides, and leaves no final file', async t => {
  const p = await post()
  const path = await file(p, 'lost', Buffer.alloc(40_000_000))
  const onProgress = ({ bytes }: Progress) => bytes > 5_000_000 && void p.bob.close()
  await fails(t, one(p.alice, path, { onProgress }), /bob/)
  t.regex(String(await p.ended[0]), /alice/)
  t.true((await readdir(p.to)).every(name => name.endsWith('.part')))
})

/** A transfer of `bigFile` into a folder of so many KiB, in which a part of others is already: who said what, and what is left; undefined if no small filesystem can be mounted here. */
async function toSmallFolder(sizeKib: number, partKib: number) {
  const part = '.old.0123456789abcdef.0123456789abcdef.part'
  const script = `mount -t tmpfs -o size=${sizeKib}k tmpfs "$1" && head -c ${partKib}k /dev/zero > "$1/${part}" &&
    echo mounted && "$2" "$3" transfer "$1" "$4" && ls -A "$1"`
  const transfer = ['sh', '-c', script, 'sh', await folderNamed('small'), process.execPath, farSide, await bigFile()]
  const { stdout } = await run('unshare', ['--user', '--map-root-user', '--mount', ...transfer]).catch(
    (failed: { stdout: string }) => failed
  )
  if (!stdout.startsWith('mounted')) return undefined
  const [, said = '', ...left] = stdout.trim().split('\n')
  return { ...(JSON.parse(said) as { sender: string; receiver: string }), left }
}

const unmountable = 'no small filesystem can be mounted here'

test('what does not fit on the disk is said on both sides, and nothing is given up for it', async t => {
  const result = await toSmallFolder(400, 100)
  if (!result) return t.pass(unmountable)
  const { sender, receiver, left } = result
  t.regex(receiver, /^no space left for "big": it takes 878\.9 KiB, and 300\.0 KiB are free$/)
  t.is(sender, `peer bob: ${receiver}`)
  t.is(left.length, 1)
})

test('parts of cut transfers make room for a file that fits without them', async t => {
  const result = await toSmallFolder(1000, 500)
  if (!result) return t.pass(unmountable)
  t.deepEqual(result, { sender: 'nothing failed', receiver: 'nothing failed', left: ['big'] })
})

test('a file larger than a process may write is said on both sides', async t => {
  const folder = await folderNamed('limit')
  const script = 'ulimit -f 800 && exec "$1" "$2" transfer "$3" "$4"'
  const { stdout } = await run('bash', ['-c', script, 'bash', process.execPath, farSide, folder, await bigFile()])
  t.regex(JSON.parse(stdout).sender, /^peer bob: "big" is larger than a file may be there$/)
  t.deepEqual(await readdir(folder), [])
})

test('pipe joins input and output both ways, each ending on its own', async t => {
  const { alice, bob } = await post()
  const [input, output] = [new PassThrough(), new PassThrough()]
  const heard = Promise.withResolvers<string>()
  bob.serve('pipe', async stream => {
    heard.resolve(await text(stream))
    stream.end('answer after the end')
  })
  const piped = pipe(await alice.open('pipe'), input, output)
  input.end('question')
  t.is(await heard.promise, 'question')
  t.is(await text(output), 'answer after the end')
  await t.notThrowsAsync(piped)
})

test('pipe carries megabytes unharmed', async t => {
  const { alice, bob } = await post()
  bob.serve('pipe', async stream => {
    const [input, output] = [new PassThrough(), new PassThrough()]
    output.pipe(input)
    await pipe(stream, input, output)
  })
  const content = randomBytes(10_000_000)
  const [input, output] = [new PassThrough(), new PassThrough()]
  const piped = pipe(await alice.open('pipe'), input, output)
  input.end(content)
  t.true(content.equals(await buffer(output)))
  await piped
})

test('pipe fails when the connection is lost, when an end fails, and when it is interrupted', async t => {
  const { alice, bob } = await post()
  bob.serve('pipe', () => {})
  const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error('the printer is on fire')) })
  bob.serve('noise', stream => void stream.write('noise'))
  await fails(t, pipe(await alice.open('noise'), new PassThrough(), broken).catch(wrapped), /printer/)
  const stop = new AbortController()
  const stopped = pipe(await alice.open('pipe'), new PassThrough(), new PassThrough(), stop.signal)
  stop.abort()
  await fails(t, stopped, /^the pipe was interrupted$/)
  const piped = pipe(await alice.open('pipe'), new PassThrough(), new PassThrough())
  await Promise.all([fails(t, piped, /^peer bob/), bob.close()])
})

test('ping counts, and tells the least, the mean and the most', async t => {
  const { alice } = await post()
  const replies: number[] = []
  const summary = await ping(alice, { count: 4, intervalMs: 1, onReply: ({ ms }) => replies.push(ms) })
  t.is(summary.count, 4)
  t.is(summary.minMs, Math.min(...replies))
  t.is(summary.maxMs, Math.max(...replies))
  t.true(summary.avgMs >= summary.minMs && summary.avgMs <= summary.maxMs)
})

/** A failure outside of postern keeps its own words; only the class is of interest here. */
function wrapped(error: PosternError): never {
  throw new PosternError('io', error.message)
}
