import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { nodeBinary } from '../support/peers.ts'

const type = (name: string) => `type.googleapis.com/envoy.${name}`

/** One service behind the host `upstream`, its failures retried. */
const staticConfig = (port: number) => ({
  static_resources: {
    listeners: [
      {
        name: 'upstream',
        api_listener: {
          api_listener: {
            '@type': type('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
            http_filters: [{ name: 'router', typed_config: { '@type': type('extensions.filters.http.router.v3.Router') } }],
            route_config: {
              name: 'upstream',
              virtual_hosts: [
                {
                  name: 'upstream',
                  domains: ['upstream'],
                  routes: [
                    {
                      match: { prefix: '/' },
                      route: {
                        cluster: 'upstream',
                        retry_policy: { retry_on: '5xx', num_retries: 3, retry_back_off: { base_interval: '0.001s' } },
                      },
                    },
                  ],
                },
              ],
            },
          },
        },
      },
    ],
    clusters: [
      {
        name: 'upstream',
        type: 'STATIC',
        load_assignment: {
          cluster_name: 'upstream',
          endpoints: [
            { lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }] },
          ],
        },
      },
    ],
  },
})

/** Bodies that `/flaky` has got. */
let flaky: string[] = []

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await text(request)
  switch (request.url) {
    case '/gzip':
      response.setHeader('content-encoding', 'gzip')
      response.end(gzipSync('unzipped'))
      return
    case '/flaky':
      flaky.push(body)
      response.statusCode = flaky.length < 3 ? 503 : 200
      response.end(JSON.stringify({ attempts: flaky.length, bodies: flaky }))
      return
    case '/slow':
      return
    default:
      response.end(JSON.stringify({ method: request.method, body }))
  }
}

describe('the built-in fetch of each Node goes through the mesh', () => {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-versions-'))
  const file = join(folder, 'mesh.json')
  const server = createServer(answer)
  let port = 0

  before(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    port = (server.address() as AddressInfo).port
    writeFileSync(file, JSON.stringify(staticConfig(port)))
  })

  after(() => {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true })
  })

  for (const major of [22, 24, 26]) {
    test(`Node ${major}`, async () => {
      flaky = []
      const env = { ...process.env, INMESH_STATIC_CONFIG: file, OUTSIDE: `http://127.0.0.1:${port}/`, NODE_OPTIONS: '' }
      const args = ['--import', 'inmesh/register', join(import.meta.dirname, 'node-versions/smoke.mjs')]
      const child = spawn(nodeBinary(major), args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
      const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
      assert.equal(err, '')
      assert.match(JSON.parse(out).node, new RegExp(`^v${major}\\.`))
    })
  }
})
