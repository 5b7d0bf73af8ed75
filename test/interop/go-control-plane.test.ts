import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { createMesh, type Mesh } from '../../src/index.ts'
import { goProgram } from '../support/peers.ts'
import { until } from '../support/until.ts'

type Resource = Readonly<Record<string, unknown>>

const typed = (type: string, fields: Resource): Resource => ({ '@type': `type.googleapis.com/envoy.${type}`, ...fields })
const ads = { ads: {}, resource_api_version: 'V3' }

const listener = (name: string) =>
  typed('config.listener.v3.Listener', {
    name,
    api_listener: {
      api_listener: typed('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
        rds: { route_config_name: `routes-of-${name}`, config_source: ads },
        http_filters: [{ name: 'router', typed_config: typed('extensions.filters.http.router.v3.Router', {}) }],
      }),
    },
  })

const routes = (name: string, cluster: string) =>
  typed('config.route.v3.RouteConfiguration', {
    name: `routes-of-${name}`,
    virtual_hosts: [{ name, domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster } }] }],
  })

const cluster = (name: string, fields: Resource = {}) =>
  typed('config.cluster.v3.Cluster', { name, type: 'EDS', eds_cluster_config: { eds_config: ads }, ...fields })

const assignment = (name: string, ...ports: readonly number[]) =>
  typed('config.endpoint.v3.ClusterLoadAssignment', {
    cluster_name: name,
    endpoints: ports.length === 0 ? [] : [{ load_balancing_weight: 1, lb_endpoints: ports.map(endpointAt) }],
  })

const endpointAt = (port: number) => ({ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } })

/** The server in go-control-plane/main.go. */
class GoControlPlane {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>
  readonly address: string
  #version = 0

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>, lines: AsyncIterator<string>, address: string) {
    this.#child = child
    this.#lines = lines
    this.address = address
  }

  static async start(): Promise<GoControlPlane> {
    const child = spawn(goProgram('test/interop/go-control-plane'), { stdio: ['pipe', 'pipe', 'inherit'] })
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    return new GoControlPlane(child, lines, await next(lines))
  }

  /** Replaces everything it serves. */
  async serve(...resources: readonly Resource[]): Promise<void> {
    this.#child.stdin.write(`${JSON.stringify({ version: String(++this.#version), resources })}\n`)
    assert.equal(await next(this.#lines), 'ok')
  }

  close(): void {
    this.#child.kill()
  }
}

async function next(lines: AsyncIterator<string>): Promise<string> {
  const { value } = await lines.next()
  return String(value)
}

async function backend(name: string) {
  const server = createServer((_, response) => response.end(name))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

for (const delta of [false, true]) {
  describe(`following go-control-plane by ${delta ? 'incremental' : 'state-of-the-world'} xDS`, () => {
    let controlPlane: GoControlPlane
    let blue: Awaited<ReturnType<typeof backend>>
    let green: Awaited<ReturnType<typeof backend>>
    let mesh: Mesh

    before(async () => {
      controlPlane = await GoControlPlane.start()
      blue = await backend('blue')
      green = await backend('green')
      const server = {
        server_uri: controlPlane.address,
        channel_creds: [{ type: 'insecure' }],
        server_features: delta ? ['xds_delta'] : [],
      }
      mesh = await createMesh({ bootstrap: { xds_servers: [server], node: { id: 'test' } }, hosts: ['*.test'] })
    })

    after(async () => {
      await mesh.close()
      controlPlane.close()
      for (const { server } of [blue, green]) {
        server.closeAllConnections()
        server.close()
      }
    })

    const ask = async (host = 'shop.test') => (await mesh.fetch(`http://${host}/`)).text()

    /** Asks until the answer is `want`, since a push arrives when it arrives. */
    const eventually = async (want: string) => {
      await until(async () => (await ask().catch(error => String(error.cause?.code))) === want)
    }

    test('an authority is discovered from listener to endpoint', async () => {
      await controlPlane.serve(listener('shop.test'), routes('shop.test', 'blue'), cluster('blue'), assignment('blue', blue.port))
      assert.equal(await ask(), 'blue')
    })

    test('a changed route leads to a cluster not seen before', async () => {
      const both = [cluster('blue'), assignment('blue', blue.port), cluster('green'), assignment('green', green.port)]
      await controlPlane.serve(listener('shop.test'), routes('shop.test', 'green'), ...both)
      await eventually('green')
    })

    test('an endpoint moves', async () => {
      await controlPlane.serve(
        listener('shop.test'),
        routes('shop.test', 'green'),
        cluster('green'),
        assignment('green', blue.port),
      )
      await eventually('blue')
    })

    test('a refused cluster costs its own calls and nobody else', async () => {
      const bad = cluster('bad', { outlier_detection: { interval: '0s' } })
      await controlPlane.serve(
        listener('shop.test'),
        listener('bad.test'),
        routes('shop.test', 'green'),
        routes('bad.test', 'bad'),
        cluster('green'),
        assignment('green', green.port),
        bad,
        assignment('bad', green.port),
      )
      await eventually('green')
      const refused = await mesh.fetch('http://bad.test/').catch(error => error)
      assert.equal(refused.cause?.code, 'MESH_ERR_CLUSTER_NOT_FOUND')
      assert.match(refused.cause.message, /outlier_detection\.interval/)
      assert.equal(await ask(), 'green')
    })

    test('no endpoint is an error at once', async () => {
      await controlPlane.serve(listener('shop.test'), routes('shop.test', 'green'), cluster('green'), assignment('green'))
      await eventually('MESH_ERR_NO_ENDPOINT')
    })
  })
}
