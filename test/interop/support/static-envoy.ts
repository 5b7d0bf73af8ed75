import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { envoy } from '../../support/peers.ts'

/**
 * Starts a real Envoy with these listeners until the test ends; resolves when all of them take connections.
 *
 * @param version `x.y.z`; default any
 */
export async function startStaticEnvoy(
  t: TestContext,
  listeners: readonly unknown[],
  clusters: readonly unknown[] = [],
  version = '',
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'inmesh-envoy-'))
  const [config, adminFile] = [join(folder, 'envoy.json'), join(folder, 'admin')]
  const bootstrap = {
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    static_resources: { listeners, clusters },
  }
  await writeFile(config, JSON.stringify(bootstrap))
  const args = ['-c', config, '--admin-address-path', adminFile, '--concurrency', '1', '--use-dynamic-base-id', '-l', 'warning']
  const child = spawn(envoy(version), args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.on('data', chunk => {
    log += chunk
  })
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await rm(folder, { recursive: true, force: true })
  })
  const isReady = async () => {
    const admin = (await readFile(adminFile, 'utf8')).trim()
    return (await fetch(`http://${admin}/ready`)).ok
  }
  for (const end = Date.now() + 20_000; !(await isReady().catch(() => false)); await pause(50)) {
    if (Date.now() > end || child.exitCode !== null) throw new Error(`Envoy does not start:\n${log.slice(-4000)}`)
  }
}

/** A listener of HTTP that answers 200 to whatever its filters let pass. */
export function answeringListener(port: number, filters: readonly unknown[], transportSocket?: unknown) {
  return filteringListener(port, filters, { direct_response: { status: 200 } }, transportSocket)
}

/** A listener of HTTP whose every route does `action`, with what its filters let pass. */
export function filteringListener(port: number, filters: readonly unknown[], action: object, transportSocket?: unknown) {
  return {
    name: `listener-${port}`,
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [
      {
        ...(transportSocket === undefined ? {} : { transport_socket: transportSocket }),
        filters: [
          {
            name: 'hcm',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
              stat_prefix: 'in',
              use_remote_address: true,
              route_config: {
                virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, ...action }] }],
              },
              http_filters: [
                ...filters,
                {
                  name: 'router',
                  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
                },
              ],
            },
          },
        ],
      },
    ],
  }
}
