// What browsers load: one module of src/browser.ts without imports, for pages of anybody, and a script and a style for each page that is
// a program.

import { mkdir, rename, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build } from 'esbuild'

/** Browsers that have all that the module uses. Chromium 122 and Firefox 121 were the last to learn something (Promise.withResolvers). */
const target = ['chrome122', 'firefox121', 'safari17.4']

/** Sources, and what is bundled: pages that are programs, with their styles. All else below src is read at run time. */
export const isMade: RegExp = /\.tsx?$|[\\/]src[\\/](call|nettest)$/

const inSource = (file: string): string => fileURLToPath(new URL(`../src/${file}`, import.meta.url))

/** The files that become of `entry`, by name. Rejects where something of Node is reached from there. */
async function bundled(entry: string, options: BuildOptions = {}): Promise<Record<string, string>> {
  const { outputFiles = [] } = await build({
    entryPoints: [inSource(entry)],
    outdir: 'dist',
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target,
    minify: true,
    legalComments: 'inline',
    charset: 'utf8',
    logLevel: 'silent',
    ...options
  })
  return Object.fromEntries(outputFiles.map(({ path, text }) => [basename(path), text]))
}

/** The text of the module, or of another file below src as one. */
export async function bundle(entry = 'browser.ts'): Promise<string> {
  return Object.values(await bundled(entry))[0] ?? ''
}

/** Pages that are programs, each of a file `main.tsx` in its room. */
const pages = ['call', 'nettest'] as const

/** `call.js`, `call.css`, and so on. */
export async function bundlePages(): Promise<Record<string, string>> {
  const options = { jsx: 'automatic', jsxImportSource: 'preact' } as const
  const made = pages.map(async page => {
    const files = await bundled(`${page}/main.tsx`, options)
    return Object.entries(files).map(([name, text]) => [name.replace('main', page), text] as const)
  })
  return Object.fromEntries((await Promise.all(made)).flat())
}

/** Writes all of it to `dist`, from where a gateway serves it: each file as a whole, since one may be read at this moment. */
export async function writeBundles(dist: string): Promise<void> {
  await mkdir(dist, { recursive: true })
  const files = { 'browser.js': await bundle(), ...(await bundlePages()) }
  await Promise.all(
    Object.entries(files).map(async ([name, text]) => {
      const file = join(dist, name)
      const whole = `${file}.${process.pid}`
      await writeFile(whole, text)
      await rename(whole, file)
    })
  )
}

// By itself it makes them alone, without what `npm run build` compiles besides: for tests, and for a gateway that runs from its source.
if (import.meta.main) await writeBundles(fileURLToPath(new URL('../dist', import.meta.url)))
