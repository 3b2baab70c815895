// The manual page, dist/postern.1, as `npm run build` writes it: the commands and options as their help has them, and what no help has
// room for. It is man(7), which groff and mandoc read, so that `man postern` shows it once the package is installed.

import type { Command, Option } from 'commander'
import { exitCodes } from '../src/cli/exit-codes.ts'
import { wrap } from '../src/cli/text/output.ts'
import { version } from '../src/version.ts'

/** An option of so many commands is told once for all of them. */
const COMMON = 3

/** A line of the file, before what is escaped in it. */
const SOURCE_COLUMNS = 66

/** What is read from the environment besides what options name. */
const variables: readonly (readonly [name: string, meaning: string])[] = [
  [
    'POSTERN_HOME',
    'the folder with the key of this computer and the peers that it knows; default: postern in XDG_CONFIG_HOME'
  ],
  ['XDG_CONFIG_HOME', 'where that folder is; default: ~/.config'],
  ['POSTERN_STATE', 'the folder in which a gateway keeps names and tokens; default: ./state'],
  [
    'HTTPS_PROXY, ALL_PROXY, NO_PROXY',
    'the HTTP proxy by which a gateway at https:// is dialled, and what is dialled without it; small letters do as well'
  ],
  [
    'POSTERN_LIMITS_PEERS and others',
    'an option of a gateway by its path, here limits.peers; docs/configuration.md has the rule'
  ],
  ['POSTERN_TOKEN_FILE, POSTERN_ADMIN_TOKEN_FILE', 'files that hold the tokens of a gateway'],
  ['NODE_EXTRA_CA_CERTS', 'a file with certificates of authorities that are trusted besides those of Node'],
  ['OTEL_*', 'where a gateway sends traces, as OpenTelemetry defines it: docs/monitoring.md has those that count'],
  ['NO_COLOR', 'if it is set, nothing is told in colour'],
  ['TRACEPARENT', 'the W3C trace context of whoever calls: a connection becomes part of that trace']
]

const files: readonly (readonly [path: string, meaning: string])[] = [
  ['~/.config/postern/identity.pem', 'the private key and the certificate by which this computer is known'],
  ['~/.config/postern/known-peers', 'the fingerprints of the peers that it has met'],
  ['state/join-token, state/admin-token', 'tokens that a gateway has made up'],
  ['state/names.json, state/names.journal', 'whose name is whose']
]

/** @param date of the page, YYYY-MM-DD */
export function manualOf(program: Command, date: string): string {
  const commands = program.commands.flatMap(command => [command, ...command.commands])
  const common = commonOf(commands)
  return [
    `.TH POSTERN 1 "${date}" "postern ${version}" "User Commands"`,
    // Names of options are not cut, and words not drawn apart.
    '.nh',
    '.ad l',
    '.SH NAME',
    'postern \\- direct paths between computers behind NATs, or a limited relay',
    '.SH SYNOPSIS',
    '.B postern',
    '.I command',
    '.RI [ options ]',
    '.SH DESCRIPTION',
    ...prose(program.description()),
    ...told(paragraphsBelow(program).filter(([heading]) => heading !== 'Exit codes:')),
    '.SH COMMANDS',
    ...commands.flatMap(command => commandLines(command, common)),
    '.SH COMMON OPTIONS',
    'Each command says above which of these it takes.',
    ...[...common.values()].flatMap(({ term, meaning }) => item(term, meaning)),
    '.SH EXIT STATUS',
    ...exitCodes.flatMap(({ code, meaning }) => item(String(code), meaning)),
    '.SH ENVIRONMENT',
    ...[...variablesOf(commands), ...variables].flatMap(([name, meaning]) => item(name, meaning)),
    '.SH FILES',
    ...files.flatMap(([path, meaning]) => item(path, meaning)),
    '.SH SEE ALSO',
    'README.md, and what is in docs, in the folder of the package.',
    ''
  ].join('\n')
}

/** An option as help has it. */
interface Told {
  readonly term: string
  readonly meaning: string
}

const optionsOf = (command: Command): readonly Option[] => command.createHelp().visibleOptions(command)

function toldOf(option: Option, command: Command): Told {
  const help = command.createHelp()
  return { term: help.optionTerm(option), meaning: help.optionDescription(option) }
}

const keyOf = ({ term, meaning }: Told): string => `${term}\n${meaning}`

/** The options that several commands take and say the same of, in the order in which they come. */
function commonOf(commands: readonly Command[]): ReadonlyMap<string, Told> {
  const all = commands.flatMap(command => optionsOf(command).map(option => toldOf(option, command)))
  const byKey = Map.groupBy(all, keyOf)
  return new Map(
    [...byKey].flatMap(([key, [first, ...more]]) => (first && more.length + 1 >= COMMON ? [[key, first]] : []))
  )
}

function commandLines(command: Command, common: ReadonlyMap<string, Told>): string[] {
  const help = command.createHelp()
  const options = optionsOf(command).map(option => toldOf(option, command))
  const own = options.filter(option => !common.has(keyOf(option)))
  const shared = options.filter(option => common.has(keyOf(option)))
  const names = shared.map(({ term }) => /--[\w-]+/.exec(term)?.[0] ?? term)
  const usage = help
    .commandUsage(command)
    .replace(/ \[options\]/, '')
    .replace(/ \[command\]/, '')
  return [
    `.SS "${escaped(usage)}"`,
    ...prose(help.commandDescription(command)),
    ...help.visibleArguments(command).flatMap(place => item(help.argumentTerm(place), help.argumentDescription(place))),
    ...own.flatMap(({ term, meaning }) => item(term, meaning)),
    ...(command.commands.length > 0 ? [] : ['.PP', ...prose(`Common options: ${names.join(', ')}.`)]),
    ...told(paragraphsBelow(command))
  ]
}

/** The variables that options are read from. */
function variablesOf(commands: readonly Command[]): (readonly [string, string])[] {
  const read = commands
    .flatMap(optionsOf)
    .flatMap(({ envVar, long, description }) => (envVar ? [{ envVar, long, description }] : []))
  return [...Map.groupBy(read, ({ envVar }) => envVar)].map(([name, [first]]) => [
    name,
    `in the place of ${first?.long}: ${first?.description}`
  ])
}

/** What help says below the options, by paragraphs of lines. */
function paragraphsBelow(command: Command): string[][] {
  let whole = ''
  command.configureOutput({ writeOut: text => (whole += text) }).outputHelp()
  const below = whole.slice(command.helpInformation().length).trim()
  return below === '' ? [] : below.split(/\n{2,}/).map(paragraph => paragraph.split('\n'))
}

/** What is indented is typed, or printed; the rest are sentences. A line that ends in a colon is a heading. */
function told(paragraphs: readonly (readonly string[])[]): string[] {
  return paragraphs.flatMap(lines => {
    const [first = ''] = lines
    const typed = lines.filter(line => line.startsWith('  '))
    if (typed.length === 0) return ['.PP', ...prose(lines.join(' '))]
    const heading = first.startsWith('  ') ? [] : ['.PP', escaped(first)]
    return [...heading, '.PP', '.RS 2', '.nf', ...typed.flatMap(typedLines), '.fi', '.RE']
  })
}

/** What a line says of itself stands below it: beside it there is no room. */
function typedLines(line: string): string[] {
  const [, command = '', about] = /^ {2}(\s*\S.*?)(?: {2,}(\S.*))?$/.exec(line) ?? []
  return [escaped(command), ...(about ? [escaped(`    # ${about}`)] : [])]
}

const item = (term: string, meaning: string): string[] => ['.TP', `.B ${escaped(term)}`, ...prose(meaning)]

/** Sentences, in lines that are short in the file as well. */
const prose = (text: string): string[] => wrap(text.replaceAll(/\s+/g, ' '), SOURCE_COLUMNS).split('\n').map(escaped)

/** Text as roff takes it for text: a hyphen that can be typed, ASCII, no escapes, and nothing at the beginning that is a request. */
function escaped(text: string): string {
  const plain = text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('"', '\\(dq')
  const ascii = plain.replaceAll(/[^\n -~]/gu, sign => `\\[u${hexOf(sign)}]`)
  return ascii.replace(/^(?=[.'])/, '\\&')
}

const hexOf = (sign: string): string => (sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
