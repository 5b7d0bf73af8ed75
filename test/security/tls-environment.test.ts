import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tlsEnvironmentWarnings } from '../../src/security/tls-environment.ts'

test('A41: what weakens TLS behind the back of the mesh is warned of', () => {
  assert.deepEqual(tlsEnvironmentWarnings({ NODE_EXTRA_CA_CERTS: '/ca.pem', NODE_TLS_REJECT_UNAUTHORIZED: '1' }, ['--test']), [])
  assert.match(tlsEnvironmentWarnings({ NODE_TLS_REJECT_UNAUTHORIZED: '0' }, []).join(), /^NODE_TLS_REJECT_UNAUTHORIZED=0: /)
  assert.match(tlsEnvironmentWarnings({}, ['--tls-keylog=/keys']).join(), /^--tls-keylog: /)
  assert.match(tlsEnvironmentWarnings({ NODE_OPTIONS: '--no-warnings --tls-keylog=/keys' }, []).join(), /^--tls-keylog: /)
})
