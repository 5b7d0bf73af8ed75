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

const file = join(import.meta.dirname, '../fixtures/security-validation.json')
const recorded: readonly Recorded[] = JSON.parse(readFileSync(file, 'utf8'))

/** What Istio accepts and is refused here, and why. */
const stricter: Readonly<Record<string, string>> = {
  'a target': 'Istio applies it to gateways and waypoints alone, of which there are none',
  'an empty from': 'Istio takes it for a missing one, and so for everybody',
  'an empty to': 'Istio takes it for a missing one, and so for everything',
  'a path template without slash': 'Envoy refuses the whole listener',
  'a header of gRPC': 'a gRPC server refuses the whole listener (gRFC A41)',
}

test('the table is large and has both verdicts', () => {
  assert.ok(recorded.length >= 100)
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
