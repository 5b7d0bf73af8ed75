import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, request } from 'node:http'
import { before, type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { AuthoritySigner } from '../../src/discovery/authority-signer.ts'
import { makeCertificateRequest } from '../../src/security/certificate-request.ts'
import { parseJoinToken } from '../../src/security/join-token.ts'
import { freePorts } from '../support/free-ports.ts'
import { envoy } from '../support/peers.ts'
import { startSecureMesh, trustDomain } from '../support/secure-mesh.ts'
import { startEnvoy } from './support/envoy-process.ts'

let binary = ''
before(() => {
  binary = envoy()
})

const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`
const onlyEnvoy = `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: only-proxy }
spec:
  selector: { matchLabels: { app: reviews } }
  rules: [{ from: [{ source: { principals: [${trustDomain}/ns/default/sa/proxy] } }] }]
`
/** A service behind an Envoy that is not registered: its identity is named. */
const behindEnvoy = (port: number) => `
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: legacy }
spec:
  hosts: [legacy.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: legacy }
spec:
  host: legacy.test
  trafficPolicy: { tls: { mode: ISTIO_MUTUAL, subjectAltNames: ['spiffe://${trustDomain}/ns/default/sa/proxy'] } }
`

const portOf = (server: { address(): unknown }): number => {
  const address = server.address()
  return typeof address === 'object' && address !== null && 'port' in address ? Number(address.port) : 0
}

function get(port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path: '/', headers: { host }, agent: false }, response => {
      let body = ''
      response.on('data', chunk => {
        body += chunk
      })
      response.on('end', () => resolve(`${response.statusCode} ${body}`))
    })
    sent.on('error', reject)
    sent.end()
  })
}

async function listening(t: TestContext, server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return portOf(server)
}

const sds = (name: string) => ({ name, sds_config: { ads: {}, resource_api_version: 'V3' } })
const type = (name: string) => ({ '@type': `type.googleapis.com/envoy.extensions.${name}` })

/** What Envoy serves itself: mutual TLS with secrets of the control plane, in front of an application. */
function inbound(port: number) {
  const tls = {
    ...type('transport_sockets.tls.v3.DownstreamTlsContext'),
    require_client_certificate: true,
    common_tls_context: {
      tls_certificate_sds_secret_configs: [sds('default')],
      validation_context_sds_secret_config: sds('ROOTCA'),
    },
  }
  const manager = {
    ...type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'inbound',
    forward_client_cert_details: 'SANITIZE_SET',
    set_current_client_cert_details: { uri: true },
    route_config: {
      virtual_hosts: [{ name: 'app', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'app' } }] }],
    },
    http_filters: [{ name: 'router', typed_config: type('filters.http.router.v3.Router') }],
  }
  return {
    name: 'inbound',
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [
      {
        transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: tls },
        filters: [{ name: 'http', typed_config: manager }],
      },
    ],
  }
}

const application = (port: number) => ({
  name: 'app',
  type: 'STATIC',
  load_assignment: {
    cluster_name: 'app',
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }] }],
  },
})

/** Mutual TLS to the control plane, with a certificate got by a join token. */
async function proxySocket(world: Awaited<ReturnType<typeof startSecureMesh>>) {
  const made = await world.secure.tokens.create(`spiffe://${trustDomain}/ns/default/sa/proxy`, world.secure.authority.pin)
  const token = parseJoinToken(made.bearer) ?? assert.fail('no token')
  const signer = new AuthoritySigner({ target: world.secure.address, credentials: { kind: 'join-token', token } })
  const { privateKey, csr } = await makeCertificateRequest()
  const { chain, roots } = await signer.sign(csr, undefined, AbortSignal.timeout(10_000))
  const inline = (text: string) => ({ inline_string: text })
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      ...type('transport_sockets.tls.v3.UpstreamTlsContext'),
      common_tls_context: {
        tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
        alpn_protocols: ['h2'],
        tls_certificates: [
          {
            certificate_chain: inline(chain.join('\n')),
            private_key: inline(String(privateKey.export({ type: 'pkcs8', format: 'pem' }))),
          },
        ],
        validation_context: {
          trusted_ca: inline(roots.join('\n')),
          match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: world.secure.spiffeId } }],
        },
      },
    },
  }
}

const whoCalls: RequestListener = (incoming, response) => {
  response.end(/URI=([^;,]*)/.exec(String(incoming.headers['x-forwarded-client-cert']))?.[1] ?? 'nobody')
}

for (const apiType of ['GRPC', 'DELTA_GRPC'] as const) {
  test(`mutual TLS with a real Envoy, both ways, with secrets of the control plane (${apiType})`, async t => {
    const [outboundPort = 0, inboundPort = 0] = await freePorts(2)
    const world = await startSecureMesh(t, strict + onlyEnvoy + behindEnvoy(inboundPort))
    const reviews = await world.join('reviews')
    const reviewsPort = await listening(t, reviews.createServer(whoCalls))
    const appPort = await listening(t, createServer(whoCalls))
    const proxy = await startEnvoy(t, {
      binary,
      apiType,
      xdsAddress: world.secure.address,
      metadata: { INMESH_OUTBOUND_PORT: outboundPort },
      transportSocket: await proxySocket(world),
      listeners: [inbound(inboundPort)],
      clusters: [application(appPort)],
    })

    await proxy.until('an answer of the mesh through Envoy', async () => (await get(outboundPort, 'reviews')).startsWith('200'))
    assert.equal(await get(outboundPort, 'reviews'), `200 spiffe://${trustDomain}/ns/default/sa/proxy`)

    const page = await world.join('page')
    for (let tries = 0; ; tries++) {
      const answer = await page.fetch('http://legacy.test/').then(
        response => response.text(),
        (error: Error) => String(error.cause),
      )
      if (answer === `spiffe://${trustDomain}/ns/default/sa/page`) break
      if (tries > 100) assert.fail(answer)
      await pause(50)
    }
    // Who is not the proxy is not let in, and who has no certificate reaches nobody.
    const other = await page.fetch('http://reviews/')
    assert.deepEqual([other.status, await other.text()], [403, 'RBAC: access denied'])
    await assert.rejects(get(reviewsPort, 'reviews'))
    await assert.rejects(get(inboundPort, 'legacy.test'))
  })
}
