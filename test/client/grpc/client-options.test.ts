import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { EndpointChannels } from '../../../src/client/grpc/endpoint-channels.ts'
import { grpcClientOn } from '../../../src/client/grpc/grpc-client.ts'
import { MeshChannel, type MeshChannelOptions } from '../../../src/client/grpc/mesh-channel.ts'
import { SecureTransport, UpstreamSecurity } from '../../../src/client/upstream-tls.ts'
import { Identities } from '../../../src/security/identities.ts'
import { FakeCertificateProvider } from '../../support/fake-certificate-provider.ts'
import { makeCluster, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { callUnary, EchoClient, startGrpcBackend } from '../../support/grpc-backend.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { SvidAuthority } from '../../support/svid-fixtures.ts'
import { TestCa } from '../../support/test-ca.ts'
import { makeMesh } from '../../support/test-mesh.ts'
import { makeTls } from '../../support/tls-model.ts'

/** A server with a certificate of a mesh, and the channels of its clients. */
async function startSecure(t: TestContext) {
  const authority = await SvidAuthority.create('td')
  const { certificate, privateKey } = await authority.issue('/server')
  const key = Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const credentials = grpc.ServerCredentials.createSsl(null, [{ cert_chain: Buffer.from(String(certificate)), private_key: key }])
  const { seen, port } = await startGrpcBackend(t, undefined, { credentials })
  const provider = new FakeCertificateProvider(await authority.identity('/client'))
  const security = new UpstreamSecurity(new ManualClock(Date.now()), new Identities(new Map([['default', provider]])))
  const provided = { kind: 'provider', instance: 'default' } as const
  const name = { type: 'uri', matcher: { kind: 'exact', value: 'spiffe://td/server', ignoreCase: false } } as const
  const tls = new SecureTransport(makeTls({ certificate: provided, trust: provided, subjectAltNames: [name] }), security)
  const channels = new EndpointChannels({ address: '127.0.0.1', port, tls })
  t.after(() => channels.drain())
  const clientWith = (given: grpc.ChannelCredentials) => {
    const profile = { options: {}, credentials: given, channelId: '', isClosed: false }
    return new EchoClient('server', given, { channelOverride: channels.get(profile, 'server') })
  }
  return { seen, clientWith }
}

const bearer = (token: string) =>
  grpc.credentials.createFromMetadataGenerator((_params, done) => {
    const metadata = new grpc.Metadata()
    metadata.set('authorization', `Bearer ${token}`)
    done(null, metadata)
  })

suite('what a client asks for itself', () => {
  test('its credentials of calls go with its calls also where the mesh secures the connection (gRFC A29)', async t => {
    const { seen, clientWith } = await startSecure(t)
    const { createSsl, createInsecure, combineChannelCredentials } = grpc.credentials
    for (const given of [combineChannelCredentials(createSsl(), bearer('mine')), createSsl(), createInsecure()]) {
      const { code, details } = await callUnary(clientWith(given), 'x')
      assert.deepEqual([code, details], [0, ''])
    }
    assert.deepEqual(
      seen.map(({ metadata }) => metadata.get('authorization')),
      [['Bearer mine'], [], []],
    )
  })

  test('where the mesh has no TLS its own expects the authority of its calls, not the address of an endpoint', async t => {
    const ca = await TestCa.create(t)
    const { certificate, privateKey } = await ca.issue('dns:echo', 'dns:other.example')
    const pair = { cert_chain: Buffer.from(certificate), private_key: Buffer.from(privateKey) }
    const { address } = await startGrpcBackend(t, undefined, { credentials: grpc.ServerCredentials.createSsl(null, [pair]) })
    const { plane, source } = makeMesh(t)
    source.set({
      targets: { echo: makeTarget([makeVirtualHost([makeRoute('c')])]) },
      clusters: [makeCluster('c', [address])],
    })
    const channel = (target: string, options?: MeshChannelOptions) =>
      new MeshChannel(plane, authority => plane.watch(authority, 'http'), target, options)
    const callWith = async (options: grpc.ChannelOptions) => {
      const credentials = grpc.credentials.createSsl(Buffer.from(ca.certificate))
      const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', { credentials, ...options })
      t.after(() => client.close())
      const { code, details } = await callUnary(client, 'x')
      return code === 0 ? 'OK' : details
    }
    assert.equal(await callWith({}), 'OK')
    assert.equal(await callWith({ 'grpc.ssl_target_name_override': 'other.example' }), 'OK')
    assert.match(
      await callWith({ 'grpc.default_authority': 'stranger.example' }),
      /stranger\.example. is not in the cert's altnames/,
    )
  })

  test('a service config of its own does not count: the mesh has the policies', async t => {
    const backend = await startGrpcBackend(t)
    const { plane, source } = makeMesh(t)
    source.set({
      targets: { echo: makeTarget([makeVirtualHost([makeRoute('c')])]) },
      clusters: [makeCluster('c', [backend.address])],
    })
    const channel = (target: string, options?: MeshChannelOptions) =>
      new MeshChannel(plane, authority => plane.watch(authority, 'http'), target, options)
    const methodConfig = [{ name: [{}], timeout: { seconds: 0, nanos: 1 } }]
    const options = { 'grpc.service_config': JSON.stringify({ methodConfig }), 'grpc.enable_retries': 1 }
    const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', options)
    t.after(() => client.close())
    const { code, details } = await callUnary(client, 'x')
    assert.deepEqual([code, details], [0, ''])
  })
})
