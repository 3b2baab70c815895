// What lies in deploy/ names metrics, ports, paths and commands of the code. These tests hold the two together: nobody runs all of it
// before each change.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { parseAllDocuments } from 'yaml'
import { parseConfig } from '../../src/config/config.ts'
import { version } from '../../src/version.ts'
import { World } from '../world.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): Promise<string> => readFile(join(root, path), 'utf8')

/** The documents of a YAML file. Throws where it is none. */
async function documents(path: string): Promise<unknown[]> {
  return parseAllDocuments(await read(path)).map(document => {
    if ('errors' in document && document.errors[0]) throw document.errors[0]
    return document.toJS()
  })
}

/** All that stands below a key of this name, anywhere in it. */
function below(key: string, within: unknown): unknown[] {
  if (typeof within !== 'object' || within === null) return []
  return Object.entries(within).flatMap(([name, value]) => [...(name === key ? [value] : []), ...below(key, value)])
}

const defaults = parseConfig('', 'postern.yaml').listen
const udp = [...defaults.udp.ports]
const published = `${udp[0]}-${udp.at(-1)}`

test('each metric and each label that an alert goes by is one that the gateway tells', async t => {
  await using world = await World.open()
  const told = await (await world.api('/metrics')).text()
  const expressions = below('expr', await documents('deploy/prometheus/alerts.yaml')).map(String)
  t.true(expressions.length > 8)
  for (const expression of expressions) {
    const [name = 'up'] = /postern_\w+/.exec(expression) ?? []
    if (name === 'up') continue
    for (const [metric] of expression.matchAll(/postern_\w+/g)) t.regex(told, new RegExp(`^# TYPE ${metric} `, 'm'))
    for (const [, metric = '', labels = ''] of expression.matchAll(/(postern_\w+)\{([^}]*)\}/g))
      for (const [, label = '', how = '', value = ''] of labels.matchAll(/(\w+)(=~?)"([^"]*)"/g))
        for (const one of how === '=~' ? value.split('|') : [value])
          t.regex(told, new RegExp(`^${metric}\\{[^}]*\\b${label}="${one}"`, 'm'), `${metric}: ${label} ${one}`)
  }
})

test('each alert says what is wrong, what it means, and how urgent it is', async t => {
  const rules = below('rules', await documents('deploy/prometheus/alerts.yaml')).flat() as {
    alert: string
    labels: { severity: string }
    annotations: { summary?: string; description?: string }
  }[]
  for (const { alert, labels, annotations } of rules) {
    t.true(['page', 'ticket'].includes(labels.severity), alert)
    t.truthy(annotations.summary && annotations.description, alert)
  }
})

test('ports are those that a gateway listens on by default', async t => {
  const manifest = await documents('deploy/kubernetes/postern.yaml')
  const ports = below('containerPort', manifest)
  t.deepEqual(ports, [defaults.http.port, ...udp])
  t.deepEqual(below('port', await documents('deploy/kubernetes/load-balancer.yaml')), ports)
  t.regex(
    await read('deploy/compose.yaml'),
    new RegExp(`'${defaults.http.port}:${defaults.http.port}', '${published}:${published}/udp'`)
  )
  t.regex(await read('deploy/prometheus/prometheus.yaml'), new RegExp(`:${defaults.http.port}'`))
  const exposed = [...(await read('Dockerfile')).matchAll(/(\d+)\/(tcp|udp)/g)].map(([, port]) => Number(port))
  t.deepEqual([...new Set(exposed)], [defaults.http.port, ...udp])
})

test('probes ask what a gateway answers', async t => {
  await using world = await World.open()
  const probes = below('httpGet', await documents('deploy/kubernetes/postern.yaml')) as { path: string }[]
  t.is(probes.length, 3)
  for (const { path } of probes) t.is((await fetch(`${world.url}${path}`)).status, 200, path)
  const [{ metrics_path: metrics }] = below(
    'scrape_configs',
    await documents('deploy/prometheus/prometheus.yaml')
  ).flat() as [{ metrics_path: string }]
  t.is((await world.api(metrics)).status, 200)
})

test('the configuration in the manifest is one', async t => {
  const [text] = below('postern.yaml', await documents('deploy/kubernetes/postern.yaml'))
  const { listen } = parseConfig(String(text), 'postern.yaml')
  t.deepEqual(listen, defaults)
})

test('containers run what the image runs, confined, and have more time to end than the gateway takes', async t => {
  const dockerfile = await read('Dockerfile')
  const commands = [...dockerfile.matchAll(/CMD (\[.*\])$/gm)].map(([, json = '']) => JSON.parse(json) as string[])
  const [check, run] = commands
  t.is(run?.[2], 'gateway')
  const [compose] = (await documents('deploy/compose.yaml')) as [Compose]
  const { gateway, ...others } = compose.services
  t.deepEqual(gateway?.healthcheck?.test, ['CMD', ...(check ?? [])])
  t.is(gateway?.stop_grace_period, '40s')
  for (const [name, service] of Object.entries({ gateway, ...others })) {
    t.regex(service?.image ?? '', /:v?\d+\.\d+\.\d+$/, `${name}: an image of one version`)
    t.deepEqual(service?.cap_drop, ['ALL'], name)
    t.true(service?.read_only, name)
  }
  const manifest = await documents('deploy/kubernetes/postern.yaml')
  t.deepEqual(below('terminationGracePeriodSeconds', manifest), [40])
  t.deepEqual(below('args', manifest), [[...(run?.slice(0, -1) ?? []), '/etc/postern/postern.yaml']])
  t.deepEqual(below('image', manifest), [gateway?.image])
  t.is(gateway?.image, `postern:${version}`)
  t.regex(dockerfile, new RegExp(`^ARG VERSION=${version.replaceAll('.', '\\.')} `, 'm'))
})

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly image?: string
        readonly cap_drop?: readonly string[]
        readonly read_only?: boolean
        readonly stop_grace_period?: string
        readonly healthcheck?: { readonly test?: readonly string[] }
      }
    >
  >
}

test('the state that the image names is where the others look for it', async t => {
  const [, state = ''] = /POSTERN_STATE=(\S+)/.exec(await read('Dockerfile')) ?? []
  t.is(state, '/state/postern')
  t.regex(await read('deploy/prometheus/prometheus.yaml'), new RegExp(`credentials_file: ${state}/admin-token$`, 'm'))
})

test('units run commands that there are', async t => {
  const units = await readdir(join(root, 'deploy/systemd'))
  t.deepEqual(units.toSorted(), ['postern-gateway.service', 'postern-peer.service'])
  for (const unit of units) {
    const text = await read(`deploy/systemd/${unit}`)
    const [, command] = /^ExecStart=\/usr\/bin\/node \/opt\/postern\/bin\/postern\.js (\w+) /m.exec(text) ?? []
    t.is(`postern-${command}.service`, unit)
    t.regex(text, /^NoNewPrivileges=yes$/m)
  }
})
