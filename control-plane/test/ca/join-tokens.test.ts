import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseJoinToken } from 'inmesh/security/join-token'
import { ManualClock } from '../../../test/support/manual-clock.ts'
import { FailureLimit } from '../../src/ca/failure-limit.ts'
import { BadTokenRequestError, JoinTokens, type JoinTokensOptions } from '../../src/ca/join-tokens.ts'
import { MemoryCaStore } from '../../src/ca/memory-ca-store.ts'
import { dayMs, reviews, trustDomain } from '../support/certificates.ts'

const pin = 'A'.repeat(43)

async function open(given: Partial<JoinTokensOptions> = {}) {
  const clock = new ManualClock()
  const options = { trustDomain, clock, store: new MemoryCaStore(), ...given }
  return { tokens: await JoinTokens.open(options), clock, store: options.store, reopen: () => JoinTokens.open(options) }
}

test('a token proves the one identity it was made for, and carries the pin', async () => {
  const { tokens } = await open()
  const token = await tokens.create(reviews, pin)
  assert.equal(tokens.verify(token.bearer)?.spiffeId, reviews)
  assert.equal(parseJoinToken(token.bearer)?.pin, pin)
})

test('G5: a token is redeemed once, by one of many at a time, and a restart does not bring it back', async () => {
  const { tokens, reopen } = await open()
  const { bearer } = await tokens.create(reviews, pin)
  const valid = tokens.verify(bearer) ?? assert.fail()
  assert.ok((await reopen()).verify(bearer))
  const results = await Promise.all([tokens.redeem(valid), tokens.redeem(valid), tokens.redeem(valid)])
  assert.deepEqual(results, [true, false, false])
  assert.equal(tokens.verify(bearer), undefined)
  assert.equal((await reopen()).verify(bearer), undefined)
})

test('G5: a token ends after ten minutes, or when it was asked to', async () => {
  const { tokens, clock } = await open()
  const usual = await tokens.create(reviews, pin)
  const short = await tokens.create(reviews, pin, 1000)
  clock.advance(999)
  assert.ok(tokens.verify(short.bearer))
  clock.advance(1)
  assert.equal(tokens.verify(short.bearer), undefined)
  clock.advance(599_000 - 1)
  assert.ok(tokens.verify(usual.bearer))
  clock.advance(1)
  assert.equal(tokens.verify(usual.bearer), undefined)
})

test('G5: a secret has 256 bits, and neither a wrong one nor that of another token is taken', async () => {
  const { tokens } = await open()
  const one = await tokens.create(reviews, pin)
  const other = await tokens.create(reviews, pin)
  assert.equal(Buffer.from(one.secret, 'base64url').length, 32)
  assert.notEqual(one.secret, other.secret)
  for (const text of [
    '',
    one.id,
    `inmesh1.${one.id}.${other.secret}.${pin}`,
    `inmesh1.${one.id}.x.${pin}`,
    `inmesh1.x.${one.secret}.${pin}`,
  ])
    assert.equal(tokens.verify(text), undefined, text)
})

test('H1: what is stored is no secret', async () => {
  const { tokens, store } = await open()
  const { secret } = await tokens.create(reviews, pin)
  const stored = JSON.stringify(await store.readDocument('tokens'))
  assert.ok(!stored.includes(secret))
  assert.match(stored, /"secretSha256":"[0-9a-f]{64}"/)
})

test('tokens are for services of this trust domain, for a day at most, and not without number', async () => {
  const { tokens, clock } = await open({ maxTokens: 1 })
  for (const identity of ['spiffe://other.test/ns/a/sa/b', 'spiffe://mesh.test/x', 'spiffe://mesh.test/ns/a/sa/b/c', 'reviews'])
    await assert.rejects(tokens.create(identity, pin), BadTokenRequestError)
  for (const ttlMs of [0, -1, Number.NaN, dayMs + 1])
    await assert.rejects(tokens.create(reviews, pin, ttlMs), BadTokenRequestError)
  await tokens.create(reviews, pin)
  await assert.rejects(tokens.create(reviews, pin), /unused tokens/)
  clock.advance(600_000)
  await tokens.create(reviews, pin)
})

test('G5: an address that fails ten times waits, others do not', () => {
  const clock = new ManualClock()
  const limit = new FailureLimit(clock)
  for (let failure = 0; failure < 10; failure++) {
    assert.ok(limit.allows('10.0.0.7'))
    limit.failed('10.0.0.7')
  }
  assert.equal(limit.allows('10.0.0.7'), false)
  assert.ok(limit.allows('10.0.0.8'))
  clock.advance(6000)
  assert.ok(limit.allows('10.0.0.7'))
})
