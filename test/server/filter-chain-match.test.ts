import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FilterChainMatch as Criteria } from '../../src/discovery/model/inbound-listener.ts'
import { type ConnectionFacts, FilterChainMatch } from '../../src/server/filter-chain-match.ts'
import { makeChain, makeInboundListener } from '../support/inbound-model.ts'

const facts: ConnectionFacts = {
  destinationAddress: '192.168.100.1',
  destinationPort: 8080,
  sourceAddress: '10.1.2.3',
  sourcePort: 40_000,
  transportProtocol: 'raw_buffer',
}
const range = (address: string, prefixLength: number) => ({ address, prefixLength })

type Named = Readonly<Record<string, Partial<Criteria>>>

/** The name of the chain that a connection gets; `default` is the one of those that no other matches. */
function found(chains: Named, connection: Partial<ConnectionFacts> = {}, hasDefault = true): string | undefined {
  const filterChains = Object.entries(chains).map(([name, match]) => ({ ...makeChain({ match }), name }))
  const listener = {
    ...makeInboundListener(filterChains),
    defaultFilterChain: hasDefault ? { ...makeChain(), name: 'default' } : undefined,
  }
  return new FilterChainMatch(listener).find({ ...facts, ...connection })?.name
}

test('a connection that no chain matches gets the default one, and none where there is none', () => {
  const chains = { other: { prefixRanges: [range('10.0.0.0', 8)] } }
  assert.deepEqual([found(chains), found(chains, {}, false)], ['default', undefined])
})

test('the longest range of its destination wins, and any range over none', () => {
  const chains = {
    none: {},
    all: { prefixRanges: [range('0.0.0.0', 0)] },
    two: { prefixRanges: [range('192.168.0.0', 16), range('10.0.0.0', 8)] },
    three: { prefixRanges: [range('192.168.100.7', 24)] },
  }
  assert.equal(found(chains), 'three')
  assert.equal(found(chains, { destinationAddress: '::ffff:192.168.100.1' }), 'three')
  assert.equal(found(chains, { destinationAddress: '192.168.1.1' }), 'two')
  assert.equal(found(chains, { destinationAddress: '172.16.0.1' }), 'all')
  assert.equal(found(chains, { destinationAddress: '2001:db8::1' }), 'none')
})

test('a better destination is not given up for what comes after it', () => {
  const chains = {
    wide: { prefixRanges: [range('192.168.0.0', 16)] },
    narrow: { prefixRanges: [range('192.168.100.1', 32)], sourcePorts: [1] },
  }
  assert.deepEqual([found(chains), found(chains, { sourcePort: 1 })], ['default', 'narrow'])
})

test('what asks for a transport goes before what does not', () => {
  const chains = { any: {}, plain: { transportProtocol: 'raw_buffer' }, secure: { transportProtocol: 'tls' } }
  assert.deepEqual([found(chains), found(chains, { transportProtocol: 'tls' })], ['plain', 'secure'])
  assert.equal(found({ any: {}, secure: { transportProtocol: 'tls' } }), 'any')
})

test('a connection of the host itself is told from others', () => {
  const chains = { any: {}, own: { sourceType: 'same-ip-or-loopback' }, far: { sourceType: 'external' } } as const
  assert.equal(found(chains), 'far')
  for (const sourceAddress of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1', facts.destinationAddress])
    assert.equal(found(chains, { sourceAddress }), 'own', sourceAddress)
  assert.equal(found({ any: {}, own: { sourceType: 'same-ip-or-loopback' } }), 'any')
})

test('then come its source address and port', () => {
  const chains = {
    any: {},
    net: { sourcePrefixRanges: [range('10.0.0.0', 8)] },
    ports: { sourcePrefixRanges: [range('10.1.0.0', 16)], sourcePorts: [1, 2] },
    host: { sourcePrefixRanges: [range('10.1.0.0', 16)] },
  }
  assert.deepEqual([found(chains), found(chains, { sourcePort: 2 })], ['host', 'ports'])
  assert.deepEqual([found(chains, { sourceAddress: '10.9.9.9' }), found(chains, { sourceAddress: '9.9.9.9' })], ['net', 'any'])
})

test('a chain that asks for what a server cannot see stands in the way of none (A36)', () => {
  const unseen = { prefixRanges: [range('192.168.100.1', 32)], isUnsupported: true }
  assert.equal(found({ unseen, wide: { prefixRanges: [range('192.168.0.0', 16)] } }), 'wide')
})

test('a Unix socket has no addresses', () => {
  const unix = { destinationAddress: '', sourceAddress: '' }
  assert.equal(found({ all: { prefixRanges: [range('0.0.0.0', 0)] } }, unix), 'default')
  assert.equal(found({ none: {} }, unix), 'none')
})
