// The configuration in effect, as it could be written: every option with its value, and where that comes from. Secrets are masked.

import { Document, isMap, isScalar, isSeq, type Node } from 'yaml'
import { formatDuration, formatSize } from '../units.ts'
import { formatEndpoint } from '../wire/endpoint.ts'
import type { CheckedConfig, Config } from './config.ts'
import { formatPosition, nameOf, type Path } from './located-yaml.ts'
import { formatPublic } from './schema.ts'
import { mask, type StrategyEntry, showStrategy } from './strategies.ts'

/** Where values come from, and what a strategy's plugin takes for options that are left out. */
export interface Origins extends Pick<CheckedConfig, 'sourceOf'> {
  readonly defaultsOf?: (strategy: StrategyEntry) => object
}

/** YAML that could be loaded again, but for the secrets. With `origins` each value has a comment that says where it is from. */
export function showConfig(config: Config, origins?: Origins): string {
  const document = new Document(written(config, origins?.defaultsOf))
  if (document.contents) annotate(document.contents, [], origins && (path => sourceAt(path, config, origins)))
  return document.toString({ lineWidth: 0, flowCollectionPadding: false })
}

export interface ShownOption {
  /** Such as `limits.peers`, or `strategies[3].predict.window`. */
  readonly option: string
  readonly value: unknown
  readonly source: string
}

/** The same for programs: every option by itself. */
export function shownOptions(config: Config, origins: Origins): ShownOption[] {
  const under = (value: unknown, path: Path): ShownOption[] => {
    const isBranch = typeof value === 'object' && value !== null && (!Array.isArray(value) || path[0] === 'strategies')
    if (!isBranch || (Array.isArray(value) && path.length > 1))
      return [{ option: nameOf(path), value, source: sourceAt(path, config, origins) }]
    return Object.entries(value).flatMap(([name, inside]) =>
      under(inside, [...path, Array.isArray(value) ? Number(name) : name])
    )
  }
  return under(written(config, origins.defaultsOf), [])
}

/** Each option as it could be written in the file. */
function written(config: Config, defaultsOf: (strategy: StrategyEntry) => object = () => ({})): object {
  const { listen, join, admin, state, deadlineMs, drainMs, strategies, traces, ...rest } = config
  const { stun, call, test, relay, limits, log } = rest
  return {
    listen: {
      ...listen,
      http: formatEndpoint(listen.http),
      tls: listen.tls ?? { cert: '', key: '' },
      udp: { ...listen.udp, public: listen.udp.public.map(formatPublic) }
    },
    stun,
    join: { token: mask(join.token) },
    admin: { ...admin, token: mask(admin.token) },
    call,
    test,
    state,
    deadline: formatDuration(deadlineMs),
    drain: formatDuration(drainMs),
    strategies: strategies.map(strategy => showStrategy(strategy, defaultsOf(strategy))),
    relay,
    limits,
    traces: { ...traces, memory: formatSize(traces.memory) },
    log
  }
}

/** `default`, `postern.yaml:3:5`, `POSTERN_LIMITS_PEERS` or `--set limits.peers`. */
function sourceAt(path: Path, { strategies }: Config, { sourceOf }: Origins): string {
  const [section, index, , option] = path
  const strategy = section === 'strategies' ? strategies[Number(index)] : undefined
  if (strategy && option !== undefined) {
    const isWritten = strategy.options[String(option)] !== undefined
    return sourceOr(isWritten ? strategy.optionAt[String(option)] : undefined)
  }
  return sourceOr(sourceOf(path))
}

const sourceOr = (source: ReturnType<Origins['sourceOf']>): string => (source ? formatPosition(source) : 'default')

type SourceAt = (path: Path) => string

/** Lists of words and numbers stand on one line, with the comment of whatever they are the value of. */
function annotate(node: Node, path: Path, sourceAt: SourceAt | undefined): void {
  if (isMap<{ value: string }, Node>(node)) {
    for (const { key, value } of node.items) if (value) annotate(value, [...path, key.value], sourceAt)
    return
  }
  if (isSeq<Node>(node) && path[0] === 'strategies' && path.length === 1) {
    for (const [index, item] of node.items.entries()) annotate(item, [...path, index], sourceAt)
    return
  }
  if (isSeq(node)) node.flow = true
  if ((isSeq(node) || isScalar(node)) && sourceAt) node.comment = ` ${sourceAt(path)}`
}
