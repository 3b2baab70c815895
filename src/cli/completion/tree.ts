// What a shell is told of the commands: a tree that is read from the command line itself, as its help shows it. So a command, an option or
// a choice that is added, or goes, is completed, or is not, without anything being written a second time.

import type { Argument, Command, Option } from 'commander'

/** What may stand in a place: one of some words, a file, a folder, or something that no shell knows. */
export type Expected =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'file' | 'folder' | 'unknown' }

export interface Flag {
  /** `--help`, and `-h` where there is one. */
  readonly names: readonly string[]
  readonly summary: string
  /** What follows it; undefined where nothing does. */
  readonly value: Expected | undefined
}

export interface Place {
  readonly name: string
  readonly expected: Expected
  /** The last place, which may be taken again and again. */
  readonly repeats: boolean
}

export interface Branch {
  /** The words that lead here, without the name of the program: `config`, `validate`. */
  readonly path: readonly string[]
  readonly summary: string
  readonly flags: readonly Flag[]
  readonly places: readonly Place[]
  readonly branches: readonly Branch[]
}

/** @throws TypeError where an option takes a value for one command, and none for another: a shell could not tell what follows it. */
export function treeOf(program: Command): Branch {
  const tree = branchOf(program, [])
  const valued = new Set(valuedIn(tree))
  for (const { flags } of branchesOf(tree))
    for (const { names, value } of flags)
      if (!value && names.some(name => valued.has(name)))
        throw new TypeError(`${names.join(', ')} takes a value for one command, and none for another`)
  return tree
}

/** A branch and all that are beneath it, from the top. */
export const branchesOf = (branch: Branch): Branch[] => [branch, ...branch.branches.flatMap(branchesOf)]

/** The names of all options that a value follows. */
export const valuedIn = (tree: Branch): string[] => [
  ...new Set(branchesOf(tree).flatMap(({ flags }) => flags.flatMap(({ names, value }) => (value ? names : []))))
]

/** @param beside names of the commands beside it */
function branchOf(command: Command, path: readonly string[], beside: readonly string[] = []): Branch {
  const help = command.createHelp()
  const subs = help.visibleCommands(command)
  const names = command.commands.map(sub => sub.name())
  return {
    path,
    summary: help.subcommandDescription(command),
    flags: help.visibleOptions(command).map(flagOf),
    places: command.registeredArguments.map(place =>
      placeOf(place, command.name() === 'help' ? beside : place.argChoices)
    ),
    branches: subs.map(sub => branchOf(sub, [...path, sub.name()], names))
  }
}

const flagOf = (option: Option): Flag => ({
  names: [option.short, option.long].filter(name => name !== undefined),
  summary: option.description,
  value: option.required || option.optional ? expectedOf(option.flags, option.argChoices) : undefined
})

const placeOf = (place: Argument, words: readonly string[] | undefined): Place => ({
  name: place.name(),
  expected: expectedOf(place.name(), words),
  repeats: place.variadic
})

/** By the choices that there are, or by the word for it: `--ca <file>`. */
function expectedOf(written: string, words: readonly string[] | undefined): Expected {
  if (words) return { kind: 'words', words }
  const [kind] = /\b(file|folder)\b/.exec(written.replace(/^.* /, '')) ?? []
  return { kind: (kind as 'file' | 'folder' | undefined) ?? 'unknown' }
}
