// The tree of commands as a completion for bash. It is one function, whose tables are patterns of `case`: what stands before the cursor is
// read into the path of a command and the number of the place, and these are looked up.

import { type Branch, branchesOf, type Expected, valuedIn } from './tree.ts'

export function bashCompletion(tree: Branch): string {
  const branches = branchesOf(tree)
  return `# Completion of postern for bash, made by \`postern completion bash\`.

_postern() {
  local words=() word path= option= place=0 current
  # bash cuts words at = and : as well. They are put together again, up to the one at the cursor.
  local index glue=
  for (( index = 1; index <= COMP_CWORD; index++ )); do
    word=\${COMP_WORDS[index]}
    case $word in
      =* | :*) glue=1 ;;
    esac
    if [[ $glue && \${#words[@]} -gt 0 ]]; then
      words[\${#words[@]}-1]+=$word
    else
      words+=("$word")
    fi
    case $word in
      *= | *:) glue=1 ;;
      *) glue= ;;
    esac
  done
  current=\${words[\${#words[@]}-1]}
  unset "words[\${#words[@]}-1]"

  for word in "\${words[@]}"; do
    if [[ $option ]]; then
      option=
      continue
    fi
    case $word in
      ${alternatives(valuedIn(tree))}) option=$word ;;
      -*) ;;
      *)
        case "$path $word" in
          ${alternatives(branches.filter(({ path }) => path.length > 0).map(({ path }) => quoted(at(path))))}) path="$path $word" ;;
          *) place=$(( place + 1 )) ;;
        esac
        ;;
    esac
  done
  case $current in
    --*=*)
      option=\${current%%=*}
      current=\${current#*=}
      ;;
  esac

  COMPREPLY=()
  if [[ $option ]]; then
    case "$path $option" in
${casesOf(branches.flatMap(valueCases)).join('\n')}
    esac
    return
  fi
  case $current in
    -*) _postern_flags "$path" "$current" ;;
    *)
      case "$path:$place" in
${casesOf(branches.flatMap(placeCases)).join('\n')}
        *) _postern_flags "$path" "$current" ;;
      esac
      ;;
  esac
}

_postern_words() {
  COMPREPLY=($(compgen -W "$1" -- "$2"))
}

# readline knows best how files are written. Where none is at work, they are listed.
_postern_files() {
  local IFS=$'\\n'
  compopt -o default 2> /dev/null || COMPREPLY=($(compgen -f -- "$1"))
}

_postern_folders() {
  local IFS=$'\\n'
  compopt -o dirnames 2> /dev/null || COMPREPLY=($(compgen -d -- "$1"))
}

_postern_flags() {
  case $1 in
${casesOf(branches.map(flagsCase)).join('\n')}
  esac
}

complete -F _postern postern
`
}

type Case = readonly [pattern: string, action: string]

/** Patterns that lead to the same share a line. Those of any later place come last: the first that fits counts. */
function casesOf(cases: readonly Case[]): string[] {
  const [exact, open] = [false, true].map(isOpen => cases.filter(([pattern]) => pattern.endsWith('*') === isOpen))
  return [exact, open].flatMap((some = []) =>
    [...Map.groupBy(some, ([, action]) => action)].map(
      ([action, alike]) => `    ${alternatives(alike.map(([pattern]) => pattern))}) ${action} ;;`
    )
  )
}

const valueCases = ({ path, flags }: Branch): Case[] =>
  flags.flatMap(({ names, value }) =>
    value && value.kind !== 'unknown'
      ? names.map((name): Case => [quoted(`${at(path)} ${name}`), actionFor(value)])
      : []
  )

function placeCases({ path, places, branches }: Branch): Case[] {
  const known = branches.length > 0 ? [{ ...subcommand(branches), repeats: false }] : places
  return known.map(({ expected, repeats }, place) => [
    repeats ? `${quoted(`${at(path)}:`)}*` : quoted(`${at(path)}:${place}`),
    actionFor(expected)
  ])
}

const flagsCase = ({ path, flags }: Branch): Case => [
  quoted(at(path)),
  `_postern_words ${quoted(flags.flatMap(({ names }) => names).join(' '))} "$2"`
]

/** A path as the function writes it. */
const at = (path: readonly string[]): string => path.map(word => ` ${word}`).join('')

const subcommand = (branches: readonly Branch[]): { expected: Expected } => ({
  expected: { kind: 'words', words: branches.map(({ path }) => path.at(-1) ?? '') }
})

/** Where nobody knows what to expect, options are shown. */
function actionFor(expected: Expected): string {
  switch (expected.kind) {
    case 'words':
      return `_postern_words ${quoted(expected.words.join(' '))} "$current"`
    case 'file':
      return '_postern_files "$current"'
    case 'folder':
      return '_postern_folders "$current"'
    case 'unknown':
      return '_postern_flags "$path" "$current"'
  }
}

const alternatives = (names: readonly string[]): string => names.join(' | ')

/** For the inside of double quotes there is nothing in names of commands and options that is to be escaped. */
const quoted = (text: string): string => `"${text}"`
