import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** A process started with `--import inmesh/register`. */
export interface RegisteredApp {
  readonly child: ChildProcess
  /** What it wrote to standard output and standard error. */
  readonly output: () => string
  /** The first line it wrote, such as its port. */
  readonly firstLine: Promise<string>
  /** Resolves with the exit code, or the signal's name. */
  readonly exit: Promise<number | string>
}

/**
 * Starts `source`, an ES module, in a process of its own that knows nothing of the mesh but its environment; ends it with the test.
 *
 * @param env replaces this process's, but for the path
 */
export function startRegisteredApp(
  t: Pick<TestContext, 'after'>,
  source: string,
  env: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
  before: readonly string[] = [],
): RegisteredApp {
  const args = [
    '--conditions=@inmesh/source',
    ...before,
    '--import',
    'inmesh/register',
    ...flags,
    '--input-type=module',
    '--eval',
    source,
  ]
  const child = spawn(process.execPath, args, { cwd: root, env: { PATH: process.env.PATH, ...env }, stdio: 'pipe' })
  let output = ''
  const read = (text: string) => {
    output += text
  }
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', read)
  const exit = once(child, 'exit').then(([code, signal]: (number | string | null)[]) => code ?? signal ?? '')
  const firstLine = new Promise<string>((resolve, reject) => {
    const look = () => {
      if (output.includes('\n')) resolve(output.slice(0, output.indexOf('\n')))
    }
    child.stdout.on('data', look)
    exit.then(how => reject(new Error(`ended with ${how}: ${output}`)))
  })
  firstLine.catch(() => {})
  t.after(() => void child.kill('SIGKILL'))
  return { child, output: () => output, firstLine, exit }
}

/** A static configuration in which every service of `ports` is one endpoint of the loopback interface, retried twice. */
export function staticConfig(ports: Readonly<Record<string, number>>): string {
  const type = (name: string) => ({ '@type': `type.googleapis.com/envoy.extensions.filters.${name}` })
  const names = Object.keys(ports)
  const route = (name: string) => ({
    name: `to-${name}`,
    match: { prefix: '/' },
    route: { cluster: name, retry_policy: { retry_on: '5xx', num_retries: 2, retry_back_off: { base_interval: '0.001s' } } },
  })
  const listener = (name: string) => ({
    name,
    api_listener: {
      api_listener: {
        ...type('network.http_connection_manager.v3.HttpConnectionManager'),
        stat_prefix: name,
        route_config: { name, virtual_hosts: [{ name, domains: [name], routes: [route(name)] }] },
        http_filters: [{ name: 'router', typed_config: type('http.router.v3.Router') }],
      },
    },
  })
  const cluster = (name: string) => {
    const address = { socket_address: { address: '127.0.0.1', port_value: ports[name] } }
    return {
      name,
      type: 'STATIC',
      load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
    }
  }
  return JSON.stringify({ static_resources: { listeners: names.map(listener), clusters: names.map(cluster) } })
}
