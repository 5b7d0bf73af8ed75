import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { jwtAuthnFilter } from '../../../control-plane/src/translate/authorization/jwt-authn.ts'
import type { JwtProvider } from '../../../control-plane/src/translate/authorization/request-authentication-filter.ts'
import { decodeJwtAuthn } from '../../../src/discovery/resources/jwt-authn.ts'
import { Problems } from '../../../src/discovery/resources/problems.ts'

const provider: JwtProvider = {
  name: 'origins-0',
  issuer: 'https://issuer.test',
  audiences: [],
  jwksUri: 'https://issuer.test/keys',
  jwks: '',
  timeoutMs: 5000,
  fromHeaders: [],
  fromParams: [],
  fromCookies: [],
  forwardOriginalToken: false,
  outputPayloadToHeader: '',
  outputClaimToHeaders: [],
  spaceDelimitedClaims: [],
}

/** What a server reads of the filter that the control plane writes. */
function decoded(given: Partial<JwtProvider>) {
  const problems = Problems.of('Listener')
  const { configType } = jwtAuthnFilter({ providers: [{ ...provider, ...given }] })
  const any = configType.case === 'typedConfig' ? configType.value : assert.fail('no typed config')
  const filter = decodeJwtAuthn(any, problems)
  assert.deepEqual(problems.found, [])
  return filter ?? assert.fail('not decoded')
}

describe('JwtAuthentication, as the control plane writes it', () => {
  for (const timeoutMs of [1, 10, 999, 1000, 1500, 5000, 600_000])
    test(`a timeout of ${timeoutMs} ms`, () => {
      const keys = decoded({ timeoutMs }).providers[0]?.keys
      assert.deepEqual(keys, { kind: 'remote', uri: provider.jwksUri, timeoutMs })
    })

  test('no token is fine, and of a CORS preflight none is looked at', () => {
    const { isRequired, bypassesCorsPreflight } = decoded({})
    assert.deepEqual({ isRequired, bypassesCorsPreflight }, { isRequired: false, bypassesCorsPreflight: true })
  })
})
