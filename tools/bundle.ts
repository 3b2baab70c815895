// Makes one module without imports of a file below src, for pages: of src/browser.ts, or of what a page of our own has beside it.

import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** Browsers that have all that the module uses. Chromium 122 and Firefox 121 were the last to learn something (Promise.withResolvers). */
const target = ['chrome122', 'firefox121', 'safari17.4']

/** The text of the module. Rejects where something of Node is reached from there. */
export async function bundle(entry = 'browser.ts'): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`../src/${entry}`, import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target,
    minify: true,
    legalComments: 'inline',
    charset: 'utf8',
    logLevel: 'silent'
  })
  return outputFiles[0]?.text ?? ''
}
