import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { createMesh } from '../../src/index.ts'
import { silentLogger } from '../../src/runtime.ts'
import { FakeCertificateProvider } from '../support/fake-certificate-provider.ts'
import { freePorts } from '../support/free-ports.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'
import { until } from '../support/until.ts'
import { startIstiod } from './istio.ts'

const trustDomain = 'cluster.local'

/** A service of the workload at `port`, which only clients with a certificate may call, and of them only one. */
const documents = (port: number) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: reviews, namespace: default }
spec:
  hosts: [reviews.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP, targetPort: ${port} }]
  endpoints:
    - { address: 127.0.0.1, serviceAccount: reviews, labels: { app: reviews, security.istio.io/tlsMode: istio } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews, namespace: default }
spec: { host: reviews.test, trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: default }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: page, namespace: default }
spec: { rules: [{ from: [{ source: { principals: [${trustDomain}/ns/default/sa/page] } }] }] }
`

test('a server and clients of ours speak mutual TLS as Istio tells clients and servers of gRPC', async t => {
  const [port = 0] = await freePorts(1)
  const istiod = await startIstiod(documents(port))
  t.after(() => istiod.close())
  const authority = await SvidAuthority.create(trustDomain)
  const join = async (name: string, labels: Readonly<Record<string, string>> = {}) => {
    const provider = new FakeCertificateProvider(await authority.identity(`/ns/default/sa/${name}`))
    const node = {
      id: `sidecar~127.0.0.1~${name}.default~default.svc.cluster.local`,
      metadata: { GENERATOR: 'grpc', NAMESPACE: 'default', LABELS: labels, INSTANCE_IPS: '127.0.0.1' },
    }
    const mesh = await createMesh({
      bootstrap: {
        xds_servers: [{ server_uri: istiod.address, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }],
        node,
        server_listener_resource_name_template: 'xds.istio.io/grpc/lds/inbound/%s',
      },
      certificateProviders: { default: provider },
      hosts: ['*.test'],
      runtime: { logger: silentLogger },
    })
    t.after(() => mesh.close())
    return mesh
  }
  const reviews = await join('reviews', { app: 'reviews', 'security.istio.io/tlsMode': 'istio' })
  const server = reviews.createServer((request, response) => {
    response.end(/URI=([^;]*)/.exec(String(request.headers['x-forwarded-client-cert']))?.[1] ?? 'nobody')
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const [page, other] = [await join('page'), await join('other')]
  const ask = async (mesh: typeof page) => {
    const answer = await mesh.fetch('http://reviews.test/')
    return { status: answer.status, text: await answer.text() }
  }
  await until(() => ask(page).catch(() => false as const))
  assert.deepEqual(await ask(page), { status: 200, text: `spiffe://${trustDomain}/ns/default/sa/page` })
  assert.equal((await ask(other)).status, 403)
})
