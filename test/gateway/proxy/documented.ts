// The configurations of proxies that README.md shows, so that what is tried is what is written there.

import { readFileSync } from 'node:fs'

const document = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')

/**
 * The block in a language.
 * @param told what stands there, and what stands in its place in a test
 */
export function documented(language: string, told: Readonly<Record<string, string>>): string {
  const found = new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'm').exec(document)?.[1]
  if (found === undefined) throw new Error(`README.md has no ${language}`)
  return Object.entries(told).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`the ${language} of README.md has no ${from}`)
    return text.replaceAll(from, to)
  }, found)
}
