// The tree of commands as a completion for zsh: a function for each command, by _arguments of zsh itself.

import type { Branch, Expected, Flag, Place } from './tree.ts'
import { branchesOf } from './tree.ts'

export function zshCompletion(tree: Branch): string {
  return `#compdef postern
# Completion of postern for zsh, made by \`postern completion zsh\`.

${branchesOf(tree).map(functionOf).join('\n')}
if [[ $funcstack[1] == _postern ]]; then
  _postern "$@"
else
  compdef _postern postern
fi
`
}

const nameOf = (path: readonly string[]): string => ['_postern', ...path].join('_')

function functionOf({ path, flags, places, branches }: Branch): string {
  const specs = [...flags.map(flagSpec), ...(branches.length > 0 ? [] : places.map(placeSpec))]
  if (branches.length === 0)
    return `${nameOf(path)}() {
  _arguments -s ${specs.map(spec => `\\\n    ${spec}`).join(' ')}
}
`
  return `${nameOf(path)}() {
  local curcontext=$curcontext state line
  _arguments -C ${[...specs, "'1: :->command'", "'*:: :->rest'"].map(spec => `\\\n    ${spec}`).join(' ')}
  case $state in
    command)
      local -a commands=(
${branches.map(sub => `        ${quoted(`${sub.path.at(-1)}:${sub.summary.replaceAll(':', '\\:')}`)}`).join('\n')}
      )
      _describe command commands
      ;;
    rest)
      case $line[1] in
${branches.map(sub => `        ${sub.path.at(-1)}) ${nameOf(sub.path)} ;;`).join('\n')}
      esac
      ;;
  esac
}
`
}

/** An option may be given again: some of them are meant to be. */
function flagSpec({ names, summary, value }: Flag): string {
  const about = quoted(
    `[${escaped(summary)}]${value ? `:${value.kind === 'unknown' ? 'value' : value.kind}:${action(value)}` : ''}`
  )
  return names.length === 1 ? `'*'${names[0]}${about}` : `'*'{${names.join(',')}}${about}`
}

const placeSpec = ({ name, expected, repeats }: Place, index: number): string =>
  quoted(`${repeats ? '*' : index + 1}:${escaped(name)}:${action(expected)}`)

function action(expected: Expected): string {
  switch (expected.kind) {
    case 'words':
      return `(${expected.words.join(' ')})`
    case 'file':
      return '_files'
    case 'folder':
      return '_files -/'
    case 'unknown':
      return ''
  }
}

const escaped = (text: string): string => text.replaceAll(/[\\[\]:]/g, '\\$&')

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
