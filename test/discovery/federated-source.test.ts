import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FederatedSource } from '../../src/discovery/federated-source.ts'
import { FakeResourceSource } from '../support/fake-resource-source.ts'

const listener = 'envoy.config.listener.v3.Listener'

function setUp() {
  const [main, auth, none] = [new FakeResourceSource(), new FakeResourceSource(), new FakeResourceSource()]
  const source = new FederatedSource(
    main,
    new Map([
      ['auth', auth],
      ['', none],
    ]),
  )
  /** Why a watch of a listener fails at once. */
  const refusal = (name: string) => {
    const messages: string[] = []
    source.watch('listener', name, {
      onResourceChanged: result => void messages.push(result.ok ? 'ok' : `${result.error.reason}: ${result.error.message}`),
      onAmbientError() {},
    })
    return messages
  }
  return { source, main, auth, none, refusal }
}

test('a name says who is asked, and is asked for in its canonical form', () => {
  const { main, auth, none, refusal } = setUp()
  assert.deepEqual(refusal('reviews'), [])
  assert.deepEqual(refusal(`xdstp://auth/${listener}/reviews?b=2&a=1`), [])
  assert.deepEqual(refusal(`xdstp:///${listener}/reviews`), [])
  assert.deepEqual(main.watched('listener'), ['reviews'])
  assert.deepEqual(auth.watched('listener'), [`xdstp://auth/${listener}/reviews?a=1&b=2`])
  assert.deepEqual(none.watched('listener'), [`xdstp:///${listener}/reviews`])
})

test('an authority that the bootstrap does not have fails what asks for it, and nothing else', () => {
  const { refusal } = setUp()
  assert.deepEqual(refusal(`xdstp://other/${listener}/x`), [
    `invalid: Listener "xdstp://other/${listener}/x": the bootstrap has no authority "other"`,
  ])
})

test('a name that cannot be read, or is of another type, fails', () => {
  const { refusal } = setUp()
  assert.deepEqual(refusal('xdstp://auth/x'), ['invalid: Listener "xdstp://auth/x": is no xdstp: name'])
  assert.deepEqual(refusal('xdstp://auth/envoy.config.cluster.v3.Cluster/x'), [
    `invalid: Listener "xdstp://auth/envoy.config.cluster.v3.Cluster/x": names a envoy.config.cluster.v3.Cluster, must be a ${listener}`,
  ])
})

test('a watch ends where it began', () => {
  const { source, auth } = setUp()
  const unwatch = source.watch('listener', `xdstp://auth/${listener}/x`, { onResourceChanged() {}, onAmbientError() {} })
  unwatch()
  assert.deepEqual(auth.watched('listener'), [])
})
