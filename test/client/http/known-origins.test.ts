import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KnownOrigins } from '../../../src/client/http/known-origins.ts'

const origins = new KnownOrigins()
origins.learn('http://reviews:9080')

test('a plain URL of a known origin needs no parser', () => {
  for (const path of ['/', '/api/v1/reviews', '/a?b=c&d=%20e', '/a//b', '/~x/(y)', '/a.b?c=/d', '/?']) {
    assert.equal(origins.originOf(`http://reviews:9080${path}`), 'http://reviews:9080', path)
  }
})

test('anything else does', () => {
  for (const rest of [
    '',
    '?a',
    '/..',
    '/./a',
    '/a/.b',
    '/%2e%2E/a',
    '/a b',
    '/a#b',
    '/é',
    '/a\tb',
    '/{a}',
    "/a?'",
    '/a\\b',
    '0/a',
    '.evil/a',
  ]) {
    assert.equal(origins.originOf(`http://reviews:9080${rest}`), null, rest)
  }
  for (const url of ['http://ratings/', 'HTTP://reviews:9080/', ' http://reviews:9080/', 'https://reviews:9080/', '/a', '']) {
    assert.equal(origins.originOf(url), null, url)
  }
})

test('a parser agrees with every URL that needed none', () => {
  const characters = fc.constantFrom(...'/.?%#2e5Ea~:@ \\&=+"\'|^`{}é\n;')
  fc.assert(
    fc.property(fc.array(characters, { maxLength: 12 }), path => {
      const url = `http://reviews:9080/${path.join('')}`
      if (origins.originOf(url) !== null) assert.equal(new URL(url).href, url)
    }),
    { numRuns: 20_000 },
  )
})
