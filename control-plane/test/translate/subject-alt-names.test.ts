import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SubjectAltNameMatcher_SanType as SanType } from '../../../src/discovery/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts'
import { subjectAltNames } from '../../src/translate/subject-alt-names.ts'
import type { View } from '../../src/translate/view.ts'

const view = (kind: View['kind'], agent: View['agent']): View => ({
  kind,
  agent,
  isIdentified: true,
  namespace: 'default',
  labels: {},
  locality: { region: '', zone: '', subZone: '' },
  outboundPort: undefined,
  reportsLoad: false,
})
const names = ['spiffe://td/ns/default/sa/a', 'a.test']
const exactly = (value: string) => ({ matchPattern: { case: 'exact', value } })

test('A19: gRPC’s own clients are told who must answer where they look for it', () => {
  assert.deepEqual(subjectAltNames(names, view('proxyless', 'other')), { matchSubjectAltNames: names.map(exactly) })
})

test('ours and Envoy are told by the type of each name', () => {
  const typed = [
    { sanType: SanType.URI, matcher: exactly('spiffe://td/ns/default/sa/a') },
    { sanType: SanType.DNS, matcher: exactly('a.test') },
  ]
  for (const each of [view('proxyless', 'inmesh'), view('envoy', 'other')])
    assert.deepEqual(subjectAltNames(names, each), { matchTypedSubjectAltNames: typed })
})
