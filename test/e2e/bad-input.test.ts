import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it, type TestContext } from 'node:test'
import { createRegistry, fromJson, type JsonObject, type Message } from '@bufbuild/protobuf'
import { type Configuration, DiscoveryService, startControlPlane, systemClock } from '@inmesh/control-plane'
import { Agent } from 'undici'
import { main } from '../../control-plane/src/cli/main.ts'
import { textLogger } from '../../control-plane/src/cli/text-logger.ts'
import { type Cluster, ClusterSchema } from '../../src/discovery/gen/envoy/config/cluster/v3/cluster_pb.ts'
import { RouteConfigurationSchema } from '../../src/discovery/gen/envoy/config/route/v3/route_pb.ts'
import { UpstreamTlsContextSchema } from '../../src/discovery/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts'
import { typeUrls } from '../../src/discovery/resource-type.ts'
import { createMesh, type Mesh, type MeshOptions } from '../../src/index.ts'
import { silentLogger } from '../../src/runtime.ts'
import { ErrorsPage, printed, printedAnswer } from '../support/errors-page.ts'
import { FakeAdsServer } from '../support/fake-ads-server.ts'
import { FakeCertificateProvider } from '../support/fake-certificate-provider.ts'
import { startUpstream, unusedPort } from '../support/http-upstream.ts'
import { captureStderr, LineLog } from '../support/line-log.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { startSecureMesh, trustDomain } from '../support/secure-mesh.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'
import { listenerMessage, routeMessage, serviceMessages, wireResource, type XdsMessage } from '../support/xds-resources.ts'

const page = new ErrorsPage()

/** What every process here has in its environment. */
const own = { INMESH_NODE_ID: 'shop-1' }

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'inmesh-errors-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

async function meshOf(t: TestContext, options: MeshOptions): Promise<Mesh> {
  const mesh = await createMesh(options)
  t.after(() => mesh.close())
  return mesh
}

/** What `promise` rejects with, as it is printed. */
async function thrownBy(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    return printed(error)
  }
  return assert.fail('nothing was thrown')
}

/** A control plane with these resources. */
async function serve(t: TestContext, ...messages: readonly XdsMessage[]): Promise<FakeAdsServer> {
  const server = await FakeAdsServer.start()
  t.after(() => server.stop())
  server.set(...messages)
  return server
}

/** Names that DNS does not know. */
function withoutDns(t: TestContext): Agent {
  const agent = new Agent({
    connect: {
      lookup: (hostname, _options, done) => {
        const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND' })
        done(error, [])
      },
    },
  })
  t.after(() => agent.close())
  return agent
}

/** A call of a mesh in which failures are errors, and of one in which they are answers; and the line of the first in the access log. */
async function bothWays(t: TestContext, url: string, given: MeshOptions) {
  const stderr = captureStderr(t)
  const options = { ...given, env: { ...given.env, INMESH_ACCESS_LOG: 'stderr' } }
  const mesh = await meshOf(t, options)
  const thrown = await thrownBy(mesh.fetch(url))
  const logged = await stderr.line(/"direction":"outbound"/)
  const answering = await meshOf(t, { ...options, localReplies: true })
  const answer = await printedAnswer(await answering.fetch(url))
  await stderr.line(/"response_code":50/)
  return { mesh, thrown, logged, answer }
}

const lines = (...values: readonly unknown[]) => values.map(value => JSON.stringify(value)).join('\n')

describe('docs/errors.md', () => {
  after(() => assert.deepEqual(page.unchecked, []))

  it('a bootstrap that is not JSON', async t => {
    const path = join(folder(t), 'bootstrap.json')
    writeFileSync(path, '{\n  "xds_servers": [\n    { "server_uri": "127.0.0.1:15010" "channel_creds": [] }\n  ]\n}\n')
    page.shows('A bootstrap that is not JSON', await thrownBy(createMesh({ env: { GRPC_XDS_BOOTSTRAP: path } })))
  })

  it('a bootstrap without what it needs', async t => {
    const path = join(folder(t), 'bootstrap.json')
    const env = { GRPC_XDS_BOOTSTRAP: path }
    const thrown = [await thrownBy(createMesh({ env: {} })), await thrownBy(createMesh({ env }))]
    const insecure = [{ type: 'insecure' }]
    const tls = [{ type: 'tls', config: { certificate_file: '/etc/certs/tls.crt' } }]
    for (const servers of [
      undefined,
      [{ channel_creds: insecure }],
      [{ server_uri: '127.0.0.1:15010' }],
      [{ server_uri: '127.0.0.1:15010', channel_creds: tls }],
    ]) {
      writeFileSync(path, JSON.stringify({ xds_servers: servers }))
      thrown.push(await thrownBy(createMesh({ env })))
    }
    page.shows('A bootstrap without what it needs', ...thrown)
  })

  it('a host that the mesh does not know, registry-only', async t => {
    const server = await serve(t)
    const env = { ...own, INMESH_CONTROL_PLANE: server.target, INMESH_OUTBOUND_POLICY: 'registry-only' }
    const { mesh, thrown, logged, answer } = await bothWays(t, 'http://revews:9080/', { env })
    const byAddress = await thrownBy(mesh.fetch('http://10.0.0.1/'))
    page.shows(
      'A host that the mesh does not know (`registry-only`)',
      thrown,
      byAddress,
      answer,
      logged,
      lines(...mesh.snapshot().authorities),
      mesh.explain({ url: 'http://revews:9080/' }).why.join('\n'),
    )
  })

  it('a host that the mesh does not know, allow-any', async t => {
    const server = await serve(t)
    const env = { ...own, INMESH_CONTROL_PLANE: server.target }
    const { mesh, thrown, logged, answer } = await bothWays(t, 'http://revews:9080/', { env, previous: withoutDns(t) })
    page.shows(
      'A host that the mesh does not know (`allow-any`)',
      thrown,
      answer,
      logged,
      await thrownBy(mesh.fetch('http://www.example.com/')),
      mesh.explain({ url: 'http://www.example.com/' }).why.join('\n'),
    )
  })

  it('a cluster without endpoints', async t => {
    const server = await serve(t, ...serviceMessages('reviews'))
    const env = { ...own, INMESH_CONTROL_PLANE: server.target }
    const { mesh, thrown, logged, answer } = await bothWays(t, 'http://reviews/', { env })
    page.shows(
      'A cluster without endpoints',
      thrown,
      answer,
      logged,
      lines(...mesh.snapshot().clusters),
      mesh.explain({ url: 'http://reviews/' }).why.join('\n'),
    )
  })

  it('a route to a cluster that does not exist', async t => {
    const server = await serve(t, listenerMessage('reviews'), routeMessage('reviews', 'reviews-v9'))
    const env = { ...own, INMESH_CONTROL_PLANE: server.target }
    const { mesh, thrown, logged, answer } = await bothWays(t, 'http://reviews/', { env })
    page.shows(
      'A route to a cluster that does not exist',
      thrown,
      answer,
      logged,
      lines(...mesh.snapshot().clusters),
      mesh.explain({ url: 'http://reviews/' }).why.join('\n'),
    )
  })

  it('a regular expression that does not compile', async t => {
    const stderr = captureStderr(t)
    const regex = '/v(1'
    const routes = {
      name: 'reviews',
      virtualHosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { safeRegex: { regex } }, route: { cluster: 'reviews' } }] },
      ],
    }
    const server = await serve(
      t,
      ...serviceMessages('reviews').filter(({ $typeName }) => $typeName !== RouteConfigurationSchema.typeName),
      fromJson(RouteConfigurationSchema, routes),
    )
    const mesh = await meshOf(t, { env: { ...own, INMESH_CONTROL_PLANE: server.target } })
    const thrown = await thrownBy(mesh.fetch('http://reviews/'))
    const nack = await server.request(({ error }) => error !== undefined)

    const file = join(folder(t), 'mesh.yaml')
    writeFileSync(file, staticYaml(regex))
    const config = folder(t)
    writeFileSync(join(config, 'reviews.yaml'), virtualServiceYaml(`{ uri: { regex: ${JSON.stringify(regex)} } }`))
    page.shows(
      'A regular expression that does not compile',
      thrown,
      await stderr.line(/"severity":.*refused/),
      nack.error?.message ?? '',
      await thrownBy(createMesh({ env: { INMESH_STATIC_CONFIG: file } })),
      await inmesh('serve', '--config', config, '--xds-port', '0'),
    )
  })

  it('a refused resource among good ones', async t => {
    const stderr = captureStderr(t)
    const upstream = await startUpstream(t)
    const resources = new Resources()
    const good = ['reviews', 'ratings', 'details'].flatMap(name => serviceMessages(name, upstream.address))
    resources.set(...good, edsCluster('details', { connectTimeout: '-1s', outlierDetection: { maxEjectionPercent: 150 } }))
    const terminal = new LineLog()
    const logger = textLogger({ out() {}, err: line => terminal.add(line) }, systemClock)
    const runtime = { clock: systemClock, logger }
    const controlPlane = await DiscoveryService.start(resources, { runtime, xdsPort: 0 })
    t.after(() => controlPlane.close())
    const mesh = await meshOf(t, {
      env: { ...own, INMESH_CONTROL_PLANE: controlPlane.xdsAddress },
      hosts: ['reviews', 'ratings', 'details'],
    })
    for (const name of ['reviews', 'ratings']) assert.equal((await mesh.fetch(`http://${name}/`)).status, 200)
    const thrown = await thrownBy(mesh.fetch('http://details/'))
    const refused = await stderr.line(/"severity":.*refused/)
    const heard = await terminal.line(/refused/)
    const [client] = controlPlane.clients()
    const types = client?.types.filter(({ typeUrl }) => typeUrl === typeUrls.cluster)

    const nacked = new Promise(resolve => mesh.on('nack', resolve))
    resources.set(edsCluster('ratings', { type: 'ORIGINAL_DST' }))
    await nacked
    assert.equal((await mesh.fetch('http://ratings/')).status, 200, 'the last good one stays in use')
    page.shows(
      'A refused resource among good ones',
      thrown,
      refused,
      heard.replace(/peer="[^"]*"/, 'peer="127.0.0.1:1"'),
      lines(...(types ?? [])),
      lines(...mesh.snapshot().clusters.filter(({ error }) => error !== undefined)),
      lines(...(mesh.status()?.ambientErrors ?? [])),
    )
  })

  it('a YAML edit that the control plane refuses', async t => {
    const upstream = await startUpstream(t)
    const config = folder(t)
    writeFileSync(join(config, 'mesh.yaml'), serviceEntryYaml(upstream.port))
    const terminal = new LineLog()
    const logger = textLogger({ out() {}, err: line => terminal.add(line) }, systemClock)
    const controlPlane = await startControlPlane({ config, xdsPort: 0, runtime: { clock: systemClock, logger } })
    t.after(() => controlPlane.close())
    const mesh = await meshOf(t, { env: { ...own, INMESH_CONTROL_PLANE: controlPlane.xdsAddress }, hosts: ['reviews'] })
    assert.equal((await mesh.fetch('http://reviews/')).status, 200)
    writeFileSync(join(config, 'reviews.yaml'), virtualServiceYaml('{ headers: { version: { exat: v1 } } }', 'heavy'))
    await terminal.line(/weight/)
    assert.equal((await mesh.fetch('http://reviews/')).status, 200, 'the last good revision serves')
    assert.deepEqual(
      controlPlane.clients()[0]?.types.map(({ state }) => state),
      ['SYNCED', 'SYNCED', 'SYNCED', 'SYNCED'],
    )
    const atEdit = terminal.lines.join('\n')
    const validated = await inmesh('validate', config)
    writeFileSync(join(config, 'reviews.yaml'), virtualServiceYaml('{ headers: { version: { exact: v1 } } }'))
    await terminal.line(/revision 2/)
    page.shows('A YAML edit that the control plane refuses', atEdit, validated)
  })

  it('no control plane at the start, and no cache', async t => {
    const stderr = captureStderr(t)
    const clock = new ManualClock()
    const env = { ...own, INMESH_CONTROL_PLANE: `127.0.0.1:${await unusedPort()}` }
    const starting = thrownBy(createMesh({ env, hosts: ['reviews'], runtime: { clock } }))
    const logged = await stderr.line(/"severity":.*ECONNREFUSED/)
    clock.advance(10_000)
    const mesh = await meshOf(t, { env })
    page.shows(
      'No control plane at the start, and no cache',
      await starting,
      await thrownBy(mesh.fetch('http://reviews/')),
      logged,
      lines(...mesh.snapshot().authorities),
      lines(mesh.status()?.lastError),
    )
  })

  it('no control plane at the start, and a cache', async t => {
    const stderr = captureStderr(t)
    const upstream = await startUpstream(t)
    const server = await serve(t, ...serviceMessages('reviews', upstream.address))
    const options = { env: { ...own, INMESH_CONTROL_PLANE: server.target, INMESH_CACHE_DIR: folder(t) }, hosts: ['reviews'] }
    const earlier = await createMesh(options)
    await earlier.close()
    server.stop()
    const mesh = await meshOf(t, options)
    assert.equal((await mesh.fetch('http://reviews/')).status, 200)
    const logged = await stderr.line(/"severity":.*ECONNREFUSED/)
    const { connected, lastError, cache, staleAuthorities } = mesh.status() ?? assert.fail()
    page.shows('No control plane at the start, and a cache', logged, lines({ connected, lastError, cache, staleAuthorities }))
  })

  it('a credential file that is not there', async t => {
    const stderr = captureStderr(t)
    const path = join(folder(t), 'bootstrap.json')
    const tls = { type: 'tls', config: { ca_certificate_file: '/etc/certs/ca.crt' } }
    writeFileSync(path, JSON.stringify({ xds_servers: [{ server_uri: '127.0.0.1:15012', channel_creds: [tls] }] }))
    const mesh = await meshOf(t, { env: { ...own, GRPC_XDS_BOOTSTRAP: path } })
    const thrown = await thrownBy(mesh.fetch('http://reviews/'))
    const logged = await stderr.line(/"severity":.*channel_creds/)

    const socket = {
      name: 'tls',
      typedConfig: {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
        commonTlsContext: { validationContext: { trustedCa: { filename: '/etc/certs/ca.crt' } } },
      },
    }
    const server = await serve(
      t,
      ...serviceMessages('reviews', '10.0.0.1:443'),
      edsCluster('reviews', { transportSocket: socket }),
    )
    const other = await meshOf(t, { env: { ...own, INMESH_CONTROL_PLANE: server.target } })
    page.shows(
      'A credential file that is not there',
      thrown,
      logged,
      await thrownBy(other.fetch('http://reviews/')),
      await stderr.line(/"severity":.*refused/),
    )
  })

  it('a workload without the identity that is asked for', async t => {
    const world = await startSecureMesh(t, serviceEntryYaml(9080))
    const { bearer } = await world.secure.tokens.create(`spiffe://${trustDomain}/ns/default/sa/shop`, world.secure.authority.pin)
    const env = { ...own, INMESH_CONTROL_PLANE: world.secure.address, INMESH_SERVICE: 'shop', INMESH_JOIN_TOKEN: bearer }
    await meshOf(t, { env, runtime: { logger: silentLogger } })
    const again = await thrownBy(createMesh({ env, runtime: { logger: silentLogger } }))

    const instance = { instanceName: 'default' }
    const socket = {
      name: 'tls',
      typedConfig: {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
        commonTlsContext: {
          tlsCertificateProviderInstance: instance,
          validationContext: { caCertificateProviderInstance: instance },
        },
      },
    }
    const messages = serviceMessages('reviews', '10.0.0.1:443').filter(({ $typeName }) => $typeName !== ClusterSchema.typeName)
    const server = await serve(t, ...messages, edsCluster('reviews', { transportSocket: socket }))
    const ended = { notBefore: new Date('2026-01-01T00:00:00Z'), notAfter: new Date('2026-01-02T00:00:00Z') }
    const provider = new FakeCertificateProvider(await (await SvidAuthority.create()).identity('/shop', [], ended))
    const mesh = await meshOf(t, {
      env: { ...own, INMESH_CONTROL_PLANE: server.target },
      certificateProviders: { default: provider },
      runtime: { logger: silentLogger },
    })
    page.shows('A workload without its identity', again, await thrownBy(mesh.fetch('http://reviews/')))
  })
})

/** What a command writes. */
async function inmesh(...args: readonly string[]): Promise<string> {
  const terminal = new LineLog()
  const code = await main(args, { out: line => terminal.add(line), err: line => terminal.add(line) })
  return [...terminal.lines, `exit code ${code}`].join('\n')
}

/** A configuration of Envoy resources behind the control plane's own xDS server. */
class Resources implements Configuration {
  readonly #resources = new Map<string, Map<string, Message>>()
  #revision = 0
  #listener = () => {}

  set(...messages: readonly XdsMessage[]): void {
    for (const message of messages) {
      const { typeUrl, name } = wireResource(message)
      const ofType = this.#resources.get(typeUrl) ?? new Map<string, Message>()
      this.#resources.set(typeUrl, ofType.set(name, message))
    }
    this.#revision++
    this.#listener()
  }

  viewOf(): string {
    return 'all'
  }

  resourcesOf() {
    const resources = new Map([...this.#resources].map(([typeUrl, ofType]) => [typeUrl, new Map(ofType)] as const))
    return { revision: String(this.#revision), resources }
  }

  onChange(listener: () => void): void {
    this.#listener = listener
  }

  setWorkloads(): void {}

  close(): void {}
}

function edsCluster(name: string, fields: JsonObject): Cluster {
  const json = { name, type: 'EDS', edsClusterConfig: { edsConfig: { ads: {} } }, ...fields }
  return fromJson(ClusterSchema, json, { registry: createRegistry(UpstreamTlsContextSchema) })
}

function serviceEntryYaml(port: number): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: reviews }
spec:
  hosts: [reviews]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP, targetPort: ${port} }]
  endpoints: [{ address: 127.0.0.1 }]
`
}

function virtualServiceYaml(match: string, weight = '1'): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
  - match: [${match}]
    route:
    - destination: { host: reviews }
      weight: ${weight}
`
}

function staticYaml(regex: string): string {
  const type = '"@type": type.googleapis.com/envoy.extensions.filters'
  return `static_resources:
  clusters: [{ name: reviews, type: STATIC }]
  listeners:
  - name: reviews
    api_listener:
      api_listener:
        ${type}.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: reviews
        route_config:
          name: reviews
          virtual_hosts:
          - name: all
            domains: [reviews]
            routes:
            - match: { safe_regex: { regex: ${JSON.stringify(regex)} } }
              route: { cluster: reviews }
        http_filters: [{ name: router, typed_config: { ${type}.http.router.v3.Router } }]
`
}
