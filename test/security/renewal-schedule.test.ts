import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expiryStage, nextStageDelayMs, renewalDelayMs } from '../../src/security/renewal-schedule.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'

const from = Date.parse('2026-01-01T00:00:00Z')
const hourMs = 3_600_000
const authority = await SvidAuthority.create()
const { certificate } = await authority.issue('/x', { notBefore: new Date(from), notAfter: new Date(from + 10 * hourMs) })

test('a certificate is renewed at half of what it has to live, give or take a tenth of it', () => {
  assert.equal(
    renewalDelayMs(certificate, from, () => 0.5),
    5 * hourMs,
  )
  assert.equal(
    renewalDelayMs(certificate, from, () => 0),
    4 * hourMs,
  )
  assert.equal(
    renewalDelayMs(certificate, from, () => 1),
    6 * hourMs,
  )
  assert.equal(
    renewalDelayMs(certificate, from + 8 * hourMs, () => 0.5),
    hourMs,
    'what is past does not count',
  )
})

test('the delay is never negative, and never nothing', () => {
  assert.equal(
    renewalDelayMs(certificate, from + 11 * hourMs, () => 0.5),
    1000,
  )
  assert.equal(
    renewalDelayMs(certificate, from + 10 * hourMs, () => 0),
    1000,
  )
})

test('the alarm has its stages at a quarter, a tenth and nothing left', () => {
  const stages = [0, 7, 7.5, 8.9, 9, 10, 20].map(hours => expiryStage(certificate, from + hours * hourMs))
  assert.deepEqual(stages, ['fresh', 'fresh', 'a quarter left', 'a quarter left', 'a tenth left', 'expired', 'expired'])
  assert.equal(nextStageDelayMs(certificate, from), 7.5 * hourMs)
  assert.equal(nextStageDelayMs(certificate, from + 7.5 * hourMs), 1.5 * hourMs)
  assert.equal(nextStageDelayMs(certificate, from + 9 * hourMs), hourMs)
  assert.equal(nextStageDelayMs(certificate, from + 10 * hourMs), undefined)
})
