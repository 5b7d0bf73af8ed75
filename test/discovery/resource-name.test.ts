import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalName, formatResourceName, parseResourceName } from '../../src/discovery/resource-name.ts'

const type = 'envoy.config.listener.v3.Listener'

test('context parameters are sorted by key (gRFC A47)', () => {
  assert.equal(canonicalName(`xdstp://auth/${type}/id?b=2&a=1`), `xdstp://auth/${type}/id?a=1&b=2`)
  assert.equal(canonicalName(`xdstp://auth/${type}/id?a=1&b=2&a=3`), `xdstp://auth/${type}/id?a=3&b=2`)
  assert.equal(canonicalName(`xdstp://auth/${type}/id?`), `xdstp://auth/${type}/id`)
  assert.equal(canonicalName(`xdstp://auth/${type}/id?a`), `xdstp://auth/${type}/id?a=`)
})

test('what may stand in a path stays, everything else is percent-encoded', () => {
  assert.equal(canonicalName(`xdstp://auth/${type}/a%2Fb/c:80`), `xdstp://auth/${type}/a/b/c:80`)
  assert.equal(canonicalName(`xdstp://auth/${type}/[::]:80`), `xdstp://auth/${type}/%5B::%5D:80`)
  assert.equal(canonicalName(`xdstp://auth/${type}/%5b::%5d:80`), `xdstp://auth/${type}/%5B::%5D:80`)
  assert.equal(canonicalName(`xdstp://auth/${type}/id?k%26=%3d/+x`), `xdstp://auth/${type}/id?k%26=%3D/%2Bx`)
})

test('directives do not tell resources apart', () => {
  assert.equal(canonicalName(`xdstp://auth/${type}/id?a=1#entry=x`), `xdstp://auth/${type}/id?a=1`)
})

test('an authority may be empty, a type may not', () => {
  assert.deepEqual(parseResourceName(`xdstp:///${type}/a/b`), { authority: '', type, id: 'a/b', context: new Map() })
  assert.equal(parseResourceName('xdstp://auth'), undefined)
  assert.equal(parseResourceName('xdstp://auth/type'), undefined)
  assert.equal(parseResourceName(`xdstp:auth/${type}/id`), undefined)
  assert.equal(parseResourceName(`xdstp://auth/${type}/%zz`), undefined)
})

test('names of other forms are what they are', () => {
  for (const name of ['', 'reviews:9080', 'a?b=2&a=1', 'xds://auth/x', `xdstp://auth/${type}/%zz`])
    assert.equal(canonicalName(name), name)
})

test('every name is read back as it was written', () => {
  const text = fc.string({ unit: 'grapheme' })
  const names = fc.record({
    authority: text,
    type: text.filter(value => value !== ''),
    id: text,
    context: fc.dictionary(text, text).map(record => new Map(Object.entries(record))),
  })
  fc.assert(
    fc.property(names, name => {
      const written = formatResourceName(name)
      assert.deepEqual(parseResourceName(written), { ...name })
      assert.equal(canonicalName(written), written)
    }),
  )
})
