import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AddressSet } from '../../../src/discovery/resources/address-set.ts'

test('a set of addresses knows what was added, and nothing else', () => {
  const address = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 3 }))
  fc.assert(
    fc.property(fc.array(address, { maxLength: 300 }), addresses => {
      const set = new AddressSet()
      const model = new Set<string>()
      for (const [host, port] of [...addresses, ...addresses]) {
        const key = `${host} ${port}`
        assert.equal(set.add(host, port), !model.has(key))
        model.add(key)
      }
    }),
  )
})
