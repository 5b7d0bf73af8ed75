import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { JoinToken, parseJoinToken } from '../../src/security/join-token.ts'

const pin = 'A'.repeat(43)

test('a token is read as it is printed', () => {
  const token = parseJoinToken(` inmesh1.id.s3cret.${pin}\n`)
  assert.deepEqual([token?.id, token?.secret, token?.pin, token?.bearer], ['id', 's3cret', pin, `inmesh1.id.s3cret.${pin}`])
})

test('everything else is no token', () => {
  const texts = [
    '',
    'inmesh1',
    `inmesh2.id.s3cret.${pin}`,
    `inmesh1.id.s3cret.${pin}.x`,
    `inmesh1..s3cret.${pin}`,
    `inmesh1.id..${pin}`,
  ]
  const more = [
    `inmesh1.id.s3cret.${pin}A`,
    `inmesh1.id.s3 cret.${pin}`,
    'inmesh1.id.s3cret',
    `inmesh1.id.${'s'.repeat(300)}.${pin}`,
  ]
  for (const text of [...texts, ...more]) assert.equal(parseJoinToken(text), undefined, text)
  fc.assert(fc.property(fc.string(), text => parseJoinToken(text) === undefined))
})

test('H1: the secret is in nothing that is printed', () => {
  const token = new JoinToken('id', 's3cret', pin)
  for (const text of [JSON.stringify({ token }), inspect({ token }, { showHidden: true }), String(token)])
    assert.ok(!text.includes('s3cret'), text)
})
