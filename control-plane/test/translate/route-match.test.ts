import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { NodeSchema } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import { translateMatch } from '../../src/translate/route-match.ts'
import { viewOf } from '../../src/translate/view.ts'
import { anyMatch } from '../../src/validate/gateway-match.ts'

function pathFor(userAgentName: string, value: string): string {
  const view = viewOf(create(NodeSchema, { userAgentName }))
  assert.ok(view)
  const { pathSpecifier } = translateMatch({ ...anyMatch, uri: { kind: 'path-prefix', value } }, view)
  return `${pathSpecifier.case} ${typeof pathSpecifier.value === 'object' && 'regex' in pathSpecifier.value ? pathSpecifier.value.regex : pathSpecifier.value}`
}

test('a prefix of whole segments is a regular expression for clients of gRPC, which know no other way', () => {
  assert.equal(pathFor('inmesh', '/a.b'), 'pathSeparatedPrefix /a.b')
  assert.equal(pathFor('gRPC Go', '/a.b'), 'safeRegex /a\\.b(?:/.*)?')
  assert.equal(pathFor('gRPC Go', '/'), 'prefix /')
})
