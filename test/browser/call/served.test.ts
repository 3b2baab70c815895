// What the gateway serves at the link of a room: as it is on the wire, and as a browser loads it.

import './built.ts'
import { request } from 'node:http'
import test from 'ava'
import { World } from '../../world.ts'
import { Loopback, pageTest } from './loopback.ts'

/** The most that a browser loads before it shows the lobby, in bytes. */
const MOST_BYTES = 120_000

const calls = 'call: { enabled: true }'

pageTest(
  'the first load is small enough, all of it from the gateway, and the second one is the page alone',
  async t => {
    await using loopback = await Loopback.open()
    const ann = await loopback.opens('Ann')
    const loaded = () =>
      ann.run(`const [page] = performance.getEntriesByType('navigation')
      return [page, ...performance.getEntriesByType('resource')].map(({ name, encodedBodySize, transferSize }) =>
        ({ name: new URL(name).host + new URL(name).pathname.replace(/[\\da-f]{16}/, 'HASH'), encodedBodySize, transferSize }))`)
    type Loaded = readonly { name: string; encodedBodySize: number; transferSize: number }[]
    const first = (await loaded()) as Loaded
    const { host } = new URL(loopback.world.url)
    const names = first.map(({ name }) => name)
    t.deepEqual(
      names.slice(0, 3).toSorted(),
      ['/assets/HASH/call.css', '/assets/HASH/call.js', '/call/standup'].map(path => host + path)
    )
    t.deepEqual(
      names.filter(name => !name.startsWith(`${host}/`)),
      []
    )
    const bytes = first.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)
    t.true(bytes > 20_000 && bytes < MOST_BYTES, `${bytes} bytes`)
    t.log(
      `${bytes} bytes, by gzip: ${JSON.stringify(first.map(({ name, encodedBodySize }) => [name, encodedBodySize]))}`
    )
    await ann.page.reload()
    const second = (await loaded()) as Loaded
    t.deepEqual(
      second.filter(({ name, transferSize }) => /call\.(js|css)$/.test(name) && transferSize > 0),
      []
    )
    t.deepEqual(await ann.complaints(), [])
  }
)

test('the page runs files of the gateway alone, may ask for what a call needs, and is kept by nobody', async t => {
  await using world = await World.open({ more: calls })
  const answer = await fetch(`${world.url}/call/standup`)
  t.is(answer.status, 200)
  const headers = Object.fromEntries(answer.headers)
  t.is(headers['cache-control'], 'no-store')
  t.is(headers['referrer-policy'], 'same-origin')
  t.is(headers['x-content-type-options'], 'nosniff')
  const policy = new Map(
    headers['content-security-policy']?.split('; ').map(rule => {
      const [name = '', ...sources] = rule.split(' ')
      return [name, sources.join(' ')]
    })
  )
  t.like(Object.fromEntries(policy), {
    'default-src': "'none'",
    'script-src': "'self'",
    'style-src': "'self'",
    'connect-src': "'self'",
    'frame-ancestors': "'none'",
    'form-action': "'none'",
    'base-uri': "'none'"
  })
  t.notRegex(headers['content-security-policy'] ?? '', /unsafe|\*|https?:|data:/)
  const permissions = headers['permissions-policy']?.split(', ')
  for (const one of ['camera', 'microphone', 'display-capture', 'speaker-selection'])
    t.true(permissions?.includes(`${one}=(self)`), one)
  const text = await answer.text()
  t.notRegex(
    text,
    /<script(?![^>]* src=)|<style|\son\w+=|style=/,
    'nothing stands in the page that a policy would forbid'
  )
  const other = await (await fetch(`${world.url}/call/other`)).text()
  t.is(other.replaceAll('other', 'standup'), text, 'it is the same for rooms that there are and that there are not')
})

test('a name is shown as it is written, and runs nothing', async t => {
  await using world = await World.open({ more: calls })
  const answer = await fetch(`${world.url}/call/${encodeURIComponent('"><script>alert(1)</script>')}`)
  const text = await answer.text()
  t.false(text.includes('<script>alert'))
  if (answer.status === 200) t.regex(text, /<title>[^<]*&#60;script&#62;/)
})

test('script and style are kept for good by their own path, and found by no other', async t => {
  await using world = await World.open({ more: calls })
  const text = await (await fetch(`${world.url}/call/standup`)).text()
  const paths = [...text.matchAll(/(?:src|href)="([^"]*call\.(?:js|css))"/g)].map(([, path = '']) => path)
  t.is(paths.length, 2)
  for (const path of paths) {
    const url = new URL(path, `${world.url}/call/standup`)
    const answer = await fetch(url)
    t.is(answer.status, 200, path)
    t.is(answer.headers.get('cache-control'), 'public, max-age=31536000, immutable')
    t.is(answer.headers.get('x-content-type-options'), 'nosniff')
    t.regex(answer.headers.get('content-type') ?? '', /^text\/(javascript|css); charset=utf-8$/)
    const older = String(url).replace(/[\da-f]{16}/, '0123456789abcdef')
    t.is((await fetch(older)).status, 404)
  }
})

test('where calls are off there is no page of them, and no part of one', async t => {
  await using world = await World.open()
  for (const path of ['/call/standup', '/call/', '/assets/0123456789abcdef/call.js'])
    t.not((await fetch(world.url + path, { redirect: 'manual' })).status, 200, path)
  t.is((await world.api('/call/standup')).status, 404)
})

test('the path of a room is not taken apart: nothing above it is served', async t => {
  await using world = await World.open({ more: calls })
  const { hostname, port } = new URL(world.url)
  // As a program sends it that does not make paths plain.
  const status = (path: string) =>
    new Promise(resolve => {
      request({ hostname, port, path }, answer => {
        answer.resume()
        resolve(answer.statusCode)
      }).end()
    })
  t.not(await status('/call/standup/../../package.json'), 200)
  t.not(await status('/assets/../call.js'), 200)
})
