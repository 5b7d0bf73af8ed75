import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { decode, linesOf } from '../support/documents.ts'

interface Recorded {
  readonly name: string
  readonly yaml: string
  /** Whether Istio accepts the document, both schema and webhook. */
  readonly accepted: boolean
}

const recorded: readonly Recorded[] = JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/validation.json'), 'utf8'))

/** What Istio accepts and is refused here, and why. */
const stricter: Readonly<Record<string, string>> = {
  'direct response 600': 'Envoy refuses the whole route configuration',
  'redirect code 304': 'Istio makes a route without action of it, which Envoy refuses with the whole route configuration',
  'tls without verification': 'the peer is always verified',
}

test('the table is large and has both kinds', () => {
  assert.ok(recorded.length >= 60)
  assert.ok(recorded.some(({ accepted }) => accepted) && recorded.some(({ accepted }) => !accepted))
})

for (const { name, yaml, accepted } of recorded) {
  test(`${accepted && !stricter[name] ? 'accepts' : 'refuses'} ${name}`, () => {
    const errors = linesOf(decode(yaml).problems, 'error')
    if (stricter[name]) {
      assert.ok(accepted, 'Istio refuses it by now')
      assert.equal(errors.length, 1)
    } else assert.deepEqual(errors.length === 0, accepted, errors.join('\n'))
  })
}
