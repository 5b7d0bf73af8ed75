import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { EndpointChannels } from '../../../src/client/grpc/endpoint-channels.ts'
import { SecureTransport, UpstreamSecurity } from '../../../src/client/upstream-tls.ts'
import type { WorkloadIdentity } from '../../../src/security/certificate-provider.ts'
import { Identities } from '../../../src/security/identities.ts'
import { FakeCertificateProvider } from '../../support/fake-certificate-provider.ts'
import { EchoClient, echoDefinition } from '../../support/grpc-backend.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { SvidAuthority } from '../../support/svid-fixtures.ts'
import { makeTls } from '../../support/tls-model.ts'

const [old, next] = [await SvidAuthority.create('td'), await SvidAuthority.create('td')]
/** An identity that trusts both roots. */
async function trustsBoth(issuer: SvidAuthority): Promise<WorkloadIdentity> {
  const { svid } = await issuer.identity('/client')
  const bundle = { ...old.bundle, authorities: [old.root, next.root] }
  return { svid, bundles: new Map([['td', bundle]]) }
}

const serverName = { type: 'uri', matcher: { kind: 'exact', value: 'spiffe://td/server', ignoreCase: false } } as const
const provided = { kind: 'provider', instance: 'default' } as const

/** A stream that is open, to a server whose certificate the old root has signed. */
async function openStream(t: TestContext) {
  const { certificate, privateKey } = await old.issue('/server')
  const pair = { cert_chain: Buffer.from(String(certificate)), private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) }
  const server = new grpc.Server()
  server.addService(echoDefinition, {
    Unary: () => {},
    ClientStream: () => {},
    ServerStream: () => {},
    Bidi: (call: grpc.ServerDuplexStream<Buffer, Buffer>) =>
      void call.on('data', data => call.write(data)).on('end', () => call.end()),
  })
  const credentials = grpc.ServerCredentials.createSsl(null, [{ ...pair, private_key: Buffer.from(pair.private_key) }])
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error === null ? resolve(bound) : reject(error))),
  )
  const clock = new ManualClock(Date.now())
  const provider = new FakeCertificateProvider(await trustsBoth(old))
  const security = new UpstreamSecurity(clock, new Identities(new Map([['default', provider]])))
  const tls = new SecureTransport(makeTls({ certificate: provided, trust: provided, subjectAltNames: [serverName] }), security)
  const channels = new EndpointChannels({ address: '127.0.0.1', port, tls })
  const profile = { options: {}, credentials: grpc.credentials.createInsecure(), channelId: '', isClosed: false }
  const client = new EchoClient('server', profile.credentials, { channelOverride: channels.get(profile, 'server') })
  t.after(() => {
    client.close()
    channels.drain()
    server.forceShutdown()
  })
  const stream = client.Bidi()
  stream.on('error', () => {})
  const echo = async () => {
    stream.write(Buffer.from('a'))
    await once(stream, 'data')
  }
  await echo()
  return { stream, echo, clock, provider }
}

test('A17: a gRPC stream under a removed root is ended within 30 s', async t => {
  const { stream, clock, provider } = await openStream(t)
  const status = new Promise<grpc.StatusObject>(resolve => stream.once('status', resolve))
  provider.set(await next.identity('/client'))
  clock.advance(30_000)
  assert.equal((await status).code, grpc.status.UNAVAILABLE)
})

test('A16: one whose root is still there goes on', async t => {
  const { echo, clock, provider } = await openStream(t)
  provider.set(await trustsBoth(next))
  clock.advance(30_000)
  await echo()
})
