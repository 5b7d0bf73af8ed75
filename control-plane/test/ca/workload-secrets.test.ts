import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import type { Message } from '@bufbuild/protobuf'
import { create } from '@bufbuild/protobuf'
import { NodeSchema } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import type { Secret } from 'inmesh/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb'
import { ManualClock } from '../../../test/support/manual-clock.ts'
import { until } from '../../../test/support/until.ts'
import { CertificateAuthority } from '../../src/ca/certificate-authority.ts'
import { MemoryCaStore } from '../../src/ca/memory-ca-store.ts'
import { WorkloadSecrets } from '../../src/ca/workload-secrets.ts'
import { silentLogger } from '../../src/runtime.ts'
import { secretType } from '../../src/xds/resource-type.ts'
import { SecretSource } from '../../src/xds/secret-source.ts'
import { hourMs, reviews, trustDomain } from '../support/certificates.ts'

const ratings = reviews.replace('reviews', 'ratings')
const textOf = (source: { specifier: { case?: string | undefined; value?: unknown } } | undefined) =>
  String(source?.specifier.value)

async function setUp(t: TestContext) {
  const clock = new ManualClock(Date.now())
  const runtime = { clock, logger: silentLogger }
  const authority = await CertificateAuthority.open({ ...runtime, trustDomain, store: new MemoryCaStore() })
  let changes = 0
  const secrets = new WorkloadSecrets({ ...runtime, authority, onChange: () => changes++ })
  t.after(() => secrets.close())
  const issued = (spiffeId: string): Promise<Secret> => until(() => secrets.of(spiffeId).get('default'))
  return { clock, authority, secrets, issued, changes: () => changes }
}

test('a proxy gets a key with a certificate for its own identity, and the roots', async t => {
  const { authority, secrets, issued } = await setUp(t)
  const { type } = await issued(reviews)
  assert.ok(type.case === 'tlsCertificate')
  const certificate = new X509Certificate(textOf(type.value.certificateChain))
  assert.ok(certificate.checkPrivateKey(createPrivateKey(textOf(type.value.privateKey))))
  assert.equal(certificate.subjectAltName, `URI:${reviews}`)
  const roots = secrets.of(reviews).get('ROOTCA')?.type
  assert.ok(roots?.case === 'validationContext')
  assert.equal(textOf(roots.value.trustedCa), authority.bundle.roots.join('\n'))
})

test('they are renewed at half of their life, with another key', async t => {
  const { clock, secrets, issued, changes } = await setUp(t)
  const first = await issued(reviews)
  const before = changes()
  clock.advance(12 * hourMs)
  await until(() => changes() !== before)
  const second = secrets.of(reviews).get('default')
  assert.ok(first.type.case === 'tlsCertificate' && second?.type.case === 'tlsCertificate')
  assert.notEqual(textOf(second.type.value.privateKey), textOf(first.type.value.privateKey))
})

test('G2: secrets are those of the certificate, whatever the node says, and there are none without one', async t => {
  const { secrets, issued } = await setUp(t)
  const mine = await issued(reviews)
  await issued(ratings)
  const source = new SecretSource({
    viewOf: () => 'view',
    resourcesOf: () => ({ revision: '1', resources: new Map<string, ReadonlyMap<string, Message>>() }),
  })
  source.use(secrets)
  const envoy = (id: string) => create(NodeSchema, { id, userAgentName: 'envoy' })
  const of = (id: string, identity?: string) =>
    source
      .resourcesOf(source.viewOf(envoy(id), identity) ?? '')
      ?.resources.get(secretType)
      ?.get('default')
  assert.equal(of('ratings', reviews), mine)
  assert.notEqual(of('reviews', ratings), mine)
  assert.equal(of('reviews'), undefined)
})
