// Finds a plugin that is an npm package by its name, as Node finds what a program imports: from the folder of the YAML file
// first, then from postern's own. The package's `exports` count as they do for `import`, so a package without CommonJS is
// found too.

import { findPackageJSON, registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageName } from '../config/strategies.ts'

/**
 * The URL that importing the package would load; undefined if no package of this name is installed. Throws Node's own error
 * if the package is installed, but does not say which of its files to load.
 */
export function findPackage(name: string, folder: string): string | undefined {
  if (!packageName.test(name)) return undefined
  // Resolving starts at a file, which need not be there.
  const starts = [pathToFileURL(join(folder, 'postern.yaml')).href, import.meta.url]
  const start = starts.find(start => isInstalled(name, start))
  return start && resolveFrom(name, start)
}

function isInstalled(name: string, start: string): boolean {
  try {
    return findPackageJSON(name, start) !== undefined
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_MODULE_NOT_FOUND') return false
    throw thrown
  }
}

// `import.meta.resolve` starts at this file. A hook for the length of the call makes it start elsewhere.
function resolveFrom(name: string, start: string): string {
  const hooks = registerHooks({ resolve: (asked, context, next) => next(asked, { ...context, parentURL: start }) })
  try {
    return import.meta.resolve(name)
  } finally {
    hooks.deregister()
  }
}
