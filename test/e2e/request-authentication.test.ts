import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { startSecureMesh } from '../support/secure-mesh.ts'

const issuer = 'https://issuer.test'
const { privateKey, publicKey } = await generateKeyPair('ES256')
const other = await generateKeyPair('ES256')
const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] }
const seconds = Math.floor(Date.now() / 1000)

const sign = (payload: Readonly<Record<string, unknown>> = {}, key = privateKey, header: Record<string, unknown> = {}) =>
  new SignJWT({ iss: issuer, sub: 'me', aud: 'shop', exp: seconds + 600, ...payload })
    .setProtectedHeader({ alg: 'ES256', kid: 'k1', ...header })
    .sign(key)

const authentication = (rule: string) => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens }
spec: { jwtRules: [{ issuer: ${issuer}, ${rule} }] }
`
const local = `jwks: '${JSON.stringify(jwks)}', audiences: [shop]`
const policy = (rule: string) => `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: with-token }
spec: { rules: [${rule}] }
`

async function start(t: TestContext, yaml: string) {
  const world = await startSecureMesh(t, yaml)
  const server = (await world.join('shop')).createServer((request, response) => {
    response.end(JSON.stringify({ authorization: request.headers.authorization, payload: request.headers['x-payload'] }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return async (token?: string, headers: Readonly<Record<string, string>> = {}, path = '/') => {
    const authorization = token === undefined ? undefined : { authorization: `Bearer ${token}` }
    const sent = send({ port, host: '127.0.0.1', path, headers: { ...authorization, ...headers }, agent: false })
    sent.end()
    const [response] = await once(sent, 'response')
    let body = ''
    for await (const chunk of response) body += chunk
    return { status: response.statusCode as number, body, challenge: response.headers['www-authenticate'] as string | undefined }
  }
}

describe('RequestAuthentication', () => {
  test('a good token passes and is taken off; none is fine, unless a policy asks for one', async t => {
    const call = await start(t, authentication(local))
    assert.deepEqual(await call(await sign()), { status: 200, body: '{}', challenge: undefined })
    assert.equal((await call()).status, 200)
    const strict = await start(t, authentication(local) + policy("{ from: [{ source: { requestPrincipals: ['*'] } }] }"))
    assert.equal((await strict()).status, 403)
    assert.equal((await strict(await sign())).status, 200)
  })

  test('E1, E5, E6, E10, E12: a token that is not good is refused', async t => {
    const call = await start(t, authentication(local))
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await sign()).split('.')[1]}.`
    const good = await sign()
    const cases: readonly (readonly [string, string, number, RegExp])[] = [
      ['signed by somebody else', await sign({}, other.privateKey), 401, /verification fails/],
      ['E1 without signature', unsigned, 401, /verification fails/],
      ['E12 with its signature cut off', good.slice(0, good.lastIndexOf('.') + 1), 401, /verification fails|form of/],
      ['E1 with an extension that is critical', await sign({}, privateKey, { crit: ['b64'], b64: true }), 200, /.*/],
      ['E5 expired', await sign({ exp: seconds - 120 }), 401, /Jwt is expired/],
      ['E5 without end', await sign({ exp: undefined }), 401, /verification fails/],
      ['E5 not yet valid', await sign({ nbf: seconds + 600 }), 401, /not yet valid/],
      ['E6 for another audience', await sign({ aud: ['x', 'y'] }), 403, /Audiences in Jwt are not allowed/],
      ['E6 of another issuer', await sign({ iss: `${issuer}.evil` }), 401, /issuer is not configured/],
      ['E2 by an unknown key', await sign({}, privateKey, { kid: '../k2' }), 401, /verification fails/],
      ['that is none', 'x', 401, /form of Header/],
      ['E12 that is too long', 'a'.repeat(15_000), 401, /form of Header/],
    ]
    for (const [name, token, status, message] of cases) {
      const answer = await call(token)
      assert.equal(answer.status, status, name)
      assert.match(answer.body, message, name)
    }
    assert.match((await call('x')).challenge ?? '', /^Bearer realm="http:\/\/127\.0\.0\.1:\d+\/", error="invalid_token"$/)
  })

  test('E7: two Authorization headers are a bad request; a token in the path is looked for', async t => {
    const call = await start(t, authentication(local) + policy("{ from: [{ source: { requestPrincipals: ['*'] } }] }"))
    assert.equal((await call(undefined, {}, `/?access_token=${await sign()}`)).status, 200)
    assert.equal((await call(await sign(), {}, '/?access_token=x')).status, 401)
  })

  test('E8: claims are own, of their type, and decide', async t => {
    const rule = "{ when: [{ key: 'request.auth.claims[groups]', values: [dev] }] }"
    const call = await start(t, authentication(local) + policy(rule))
    assert.equal((await call(await sign({ groups: ['ops', 'dev'] }))).status, 200)
    assert.equal((await call(await sign({ groups: 'dev' }))).status, 200)
    for (const groups of [['ops'], 7, { dev: true }, null]) assert.equal((await call(await sign({ groups }))).status, 403)
    assert.equal((await call(await sign())).status, 403)
  })

  test('a header that tells of the token is the mesh’s, and the token goes on where it is told to', async t => {
    const rule = `${local}, outputPayloadToHeader: x-payload, forwardOriginalToken: true`
    const call = await start(t, authentication(rule))
    const token = await sign()
    const { authorization, payload } = JSON.parse((await call(token, { 'x-payload': 'forged' })).body)
    assert.equal(authorization, `Bearer ${token}`)
    assert.equal(JSON.parse(Buffer.from(payload, 'base64url').toString()).sub, 'me')
    assert.deepEqual(JSON.parse((await call(undefined, { 'x-payload': 'forged' })).body), {})
  })

  test('E3: keys are fetched; while they cannot be, nobody is let in, and known ones are kept', async t => {
    let isUp = false
    const keys = createServer((_request, response) => {
      response.statusCode = isUp ? 200 : 500
      response.end(isUp ? JSON.stringify(jwks) : '')
    })
    keys.listen(0, '127.0.0.1')
    await once(keys, 'listening')
    t.after(() => keys.close())
    const { port } = keys.address() as AddressInfo
    const call = await start(t, authentication(`jwksUri: 'http://127.0.0.1:${port}/keys'`))
    assert.equal((await call(await sign())).status, 401)
    isUp = true
    assert.equal((await call(await sign())).status, 200)
    isUp = false
    assert.equal((await call(await sign())).status, 200)
  })

  test('keys are found by what an issuer tells of itself', async t => {
    let origin = ''
    const keys = createServer((request, response) => {
      const isDiscovery = request.url === '/.well-known/openid-configuration'
      response.end(JSON.stringify(isDiscovery ? { issuer: origin, jwks_uri: `${origin}/keys` } : jwks))
    })
    keys.listen(0, '127.0.0.1')
    await once(keys, 'listening')
    t.after(() => keys.close())
    origin = `http://127.0.0.1:${(keys.address() as AddressInfo).port}`
    const call = await start(t, authentication('audiences: [shop]').replace(issuer, `'${origin}'`))
    assert.equal((await call(await sign({ iss: origin }))).status, 200)
    assert.equal((await call(await sign({ iss: origin }, other.privateKey))).status, 401)
  })
})
