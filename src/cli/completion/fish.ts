// The tree of commands as a completion for fish, from 3.0 on: a line for each option and each word, under the condition that the cursor
// stands behind the command that it belongs to.

import { type Branch, branchesOf, type Expected, type Flag, type Place, valuedIn } from './tree.ts'

export function fishCompletion(tree: Branch): string {
  const branches = branchesOf(tree)
  const groups = branches.filter(branch => branch.branches.length > 0).map(({ path }) => path.join(' '))
  return `# Completion of postern for fish, made by \`postern completion fish\`.

# The words before the cursor without the program, options and their values.
function __postern_words
    set -l valued ${valuedIn(tree).join(' ')}
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word $valued
            set skip 1
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end

# Whether the cursor stands behind this command: and, if a number is given, at this place of it, or at this or a later one (2+).
function __postern_at -a wanted place
    set -l groups ${groups.map(quoted).join(' ')}
    set -l words (__postern_words)
    set -l path
    while contains -- "$path" $groups; and test (count $words) -gt 0
        set -a path $words[1]
        set -e words[1]
    end
    test "$path" = "$wanted"; or return 1
    test -z "$place"; and return 0
    set -l least (string replace '+' '' -- $place)
    if test $least = $place
        test (count $words) -eq $least
    else
        test (count $words) -ge $least
    end
end

complete -c postern -f
${branches.flatMap(linesOf).join('\n')}
`
}

function linesOf(branch: Branch): string[] {
  const { path, flags, places, branches } = branch
  const here = path.join(' ')
  return [
    ...branches.map(sub => `${at(here, '0')} -a ${quoted(sub.path.at(-1) ?? '')} -d ${quoted(sub.summary)}`),
    ...(branches.length > 0 ? [] : places.flatMap((place, index) => placeLine(here, place, index))),
    ...flags.map(flag => flagLine(here, flag))
  ]
}

function placeLine(here: string, { expected, repeats }: Place, index: number): string[] {
  const wanted = candidates(expected)
  return wanted ? [`${at(here, `${index}${repeats ? '+' : ''}`)} ${wanted}`] : []
}

function flagLine(here: string, { names, summary, value }: Flag): string {
  const written = names.map(name => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)).join(' ')
  const wanted = value ? [' -r', candidates(value) ?? '-f'].join(' ') : ''
  return `${at(here)} ${written}${wanted} -d ${quoted(summary)}`
}

function candidates(expected: Expected): string | undefined {
  switch (expected.kind) {
    case 'words':
      return `-f -a ${quoted(expected.words.join(' '))}`
    case 'file':
      return '-F'
    case 'folder':
      return "-f -a '(__fish_complete_directories)'"
    case 'unknown':
      return undefined
  }
}

const at = (here: string, place?: string): string =>
  `complete -c postern -n ${quoted(['__postern_at', `"${here}"`, ...(place === undefined ? [] : [place])].join(' '))}`

/** Within single quotes fish knows \\\\ and \\' alone. */
const quoted = (text: string): string => `'${text.replaceAll(/[\\']/g, '\\$&')}'`
