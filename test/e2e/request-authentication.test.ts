import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { MeshOptions } from '../../src/index.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { AccessLog } from '../../src/telemetry/access-log.ts'
import { MeshTelemetry } from '../../src/telemetry/create-telemetry.ts'
import { startSecureMesh } from '../support/secure-mesh.ts'
import { until } from '../support/until.ts'

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

/** A plain server. @returns its origin */
async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const credentialsOf = ({ headers }: IncomingMessage): unknown => ({
  authorization: headers.authorization,
  payload: headers['x-payload'],
})

/** @param seen what the application answers of a request */
async function start(t: TestContext, yaml: string, options: Partial<MeshOptions> = {}, seen = credentialsOf) {
  const world = await startSecureMesh(t, yaml)
  const server = (await world.join('shop', {}, options)).createServer((request, response) => {
    response.end(JSON.stringify(seen(request)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return async (token?: string, headers: Readonly<Record<string, string>> = {}, path = '/', method = 'GET') => {
    const authorization = token === undefined ? undefined : { authorization: `Bearer ${token}` }
    const sent = send({ port, host: '127.0.0.1', path, method, headers: { ...authorization, ...headers }, agent: false })
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

  test('E2: what a token says of its own key is not listened to', async t => {
    const asked: string[] = []
    const jwk = { ...(await exportJWK(other.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }
    const url = await serve(t, (request, response) => {
      asked.push(request.url ?? '')
      response.end(JSON.stringify({ keys: [jwk] }))
    })
    const call = await start(t, authentication(local))
    for (const header of [{ jku: url }, { x5u: url }, { jwk }, { jku: url, kid: undefined }, { jwk, kid: 'k2' }]) {
      const { status, body } = await call(await sign({}, other.privateKey, header))
      assert.equal(status, 401, JSON.stringify(header))
      assert.match(body, /verification fails/)
    }
    assert.deepEqual(asked, [])
  })

  test('E9: the token of one issuer is good for nothing that asks for another', async t => {
    const weak = 'https://weak.test'
    const weakKeys = { keys: [{ ...(await exportJWK(other.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] }
    const both = authentication(local).replace(
      'jwtRules: [',
      `jwtRules: [{ issuer: ${weak}, jwks: '${JSON.stringify(weakKeys)}', fromHeaders: [{ name: x-weak }] }, `,
    )
    const asks = `{ from: [{ source: { requestPrincipals: ['${issuer}/*'] } }] }`
    const call = await start(t, both + policy(asks))
    const weakToken = await sign({ iss: weak, sub: `${issuer}/me` }, other.privateKey)
    assert.equal((await call(await sign())).status, 200)
    assert.equal((await call(undefined, { 'x-weak': weakToken })).status, 403, 'a good token of the other issuer')
    assert.equal((await call(weakToken)).status, 401, 'in the place of the one that is asked for')
    const claiming = await sign({}, other.privateKey)
    assert.equal((await call(claiming)).status, 401, 'in the name of the one that is asked for')
    assert.equal((await call(undefined, { 'x-weak': claiming })).status, 401, 'and in the other place')
    assert.equal(
      (await call(await sign(), { 'x-weak': await sign({ iss: weak }) })).status,
      401,
      'one that is bad beside one that is good',
    )
  })

  test('E11: no token is logged, wherever it came from', async t => {
    const [good, foreign] = [await sign(), await sign({}, other.privateKey)]
    const lines: string[] = []
    const keep = (message: string, fields?: unknown) => lines.push(`${message} ${JSON.stringify(fields)}`)
    const out = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk))
        done()
      },
    })
    const rule = `${local}, fromHeaders: [{ name: x-token }, { name: authorization, prefix: 'Bearer ' }], fromParams: [access_token, t]`
    const runtime = { ...systemRuntime, logger: { debug: keep, info: keep, warn: keep, error: keep } }
    const telemetry = new MeshTelemetry({ service: 'shop', runtime, accessLog: new AccessLog(out) })
    const call = await start(t, authentication(rule), { telemetry, runtime })
    for (const token of [good, foreign]) {
      await call(token)
      await call(undefined, { 'x-token': token })
      for (const query of [`access_token=${token}`, `t=${token}`, `a=1&t=${token}&b=2`]) await call(undefined, {}, `/?${query}`)
    }
    await call(undefined, {}, '/?access_token=opaque')
    await until(() => lines.join('').split('"direction"').length > 11)
    const text = lines.join('')
    assert.match(text, /\/\?a=1&t=REDACTED&b=2/)
    for (const secret of [...good.split('.'), ...foreign.split('.'), 'opaque']) assert.equal(text.includes(secret), false, text)
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

  test('E1: every asymmetric algorithm that Envoy knows, and no shared secret', async t => {
    const secret = new TextEncoder().encode('a secret of thirty-two characters')
    const pairs = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'].map(async alg => {
      const pair = await generateKeyPair(alg)
      return { alg, key: pair.privateKey, jwk: { ...(await exportJWK(pair.publicKey)), kid: alg, alg } }
    })
    const asymmetric = await Promise.all(pairs)
    const shared = { kty: 'oct', kid: 'HS256', alg: 'HS256', k: Buffer.from(secret).toString('base64url') }
    const keys = JSON.stringify({ keys: [...asymmetric.map(({ jwk }) => jwk), shared] })
    const call = await start(t, authentication(`jwks: '${keys}'`))
    for (const { alg, key } of asymmetric) assert.equal((await call(await sign({}, key, { alg, kid: alg }))).status, 200, alg)
    const forged = new SignJWT({ iss: issuer, sub: 'me', exp: seconds + 600 }).setProtectedHeader({ alg: 'HS256', kid: 'HS256' })
    assert.equal((await call(await forged.sign(secret))).status, 401)
  })

  test('a key that is no set is one of a set', async t => {
    const [key] = jwks.keys
    const call = await start(t, authentication(`jwks: '${JSON.stringify(key)}'`))
    assert.equal((await call()).status, 200)
    assert.equal((await call(await sign())).status, 200)
    assert.equal((await call(await sign({}, other.privateKey))).status, 401)
  })

  test('a token from the path is taken off as well, however its parameter is spelt, and from every place it came in', async t => {
    const rule = `${local}, fromParams: [token], fromHeaders: [{ name: x-token }]`
    const call = await start(t, authentication(rule), {}, ({ url, headers }) => [url, headers['x-token'] ?? null])
    const token = await sign()
    const seenOf = async (path: string, headers = {}) => JSON.parse((await call(undefined, headers, path)).body)
    assert.deepEqual(await seenOf(`/a?token=${token}`), ['/a', null])
    assert.deepEqual(await seenOf(`/a?x=%31&%74oken=${token}&y`), ['/a?x=%31&y', null])
    assert.deepEqual(await seenOf(`/a?token=${token}&b=2`, { 'x-token': token }), ['/a?b=2', null])
    assert.deepEqual(await seenOf('/a?tokens=1'), ['/a?tokens=1', null])
  })

  test('the application sees the token in the path where it is told to go on', async t => {
    const call = await start(t, authentication(`${local}, fromParams: [token], forwardOriginalToken: true`), {}, ({ url }) => url)
    const token = await sign()
    assert.equal(JSON.parse((await call(undefined, {}, `/a?token=${token}`)).body), `/a?token=${token}`)
  })

  test('claims go to headers, those inside others by their path, and nobody else says what is in them', async t => {
    const names = [
      'iss',
      'org.unit.name',
      'org.unit',
      'org.tags',
      'org.tags.0',
      'org.x',
      'a.b',
      'level',
      'admin',
      'empty',
      '__proto__.x',
    ]
    const headers = names.map((claim, at) => `{ header: x-claim-${at}, claim: '${claim}' }`)
    const rule = `${local}, outputClaimToHeaders: [${headers.join(', ')}]`
    const call = await start(t, authentication(rule), {}, request =>
      names.map((_, at) => request.headers[`x-claim-${at}`] ?? null),
    )
    const claims = { org: { unit: { name: 'sales' }, tags: ['a'] }, 'a.b': 'dotted', level: 7, admin: true, empty: '' }
    const forged = Object.fromEntries(names.map((_, at) => [`X-Claim-${at}`, 'forged']))
    const answer = JSON.parse((await call(await sign(claims), forged)).body)
    assert.deepEqual(answer, [issuer, 'sales', null, null, null, null, 'dotted', '7', 'true', null, null])
    assert.deepEqual(
      JSON.parse((await call(undefined, forged)).body),
      names.map(() => null),
    )
  })

  test('of several good tokens the first one says who asks: headers before parameters before cookies', async t => {
    const rule = `${local}, fromHeaders: [{ name: x-token }], fromParams: [token], fromCookies: [token], outputPayloadToHeader: x-payload`
    const first = policy(`{ from: [{ source: { requestPrincipals: ['${issuer}/me'] } }] }`)
    const call = await start(t, authentication(rule) + first)
    const [me, you] = [await sign(), await sign({ sub: 'you' })]
    const { status, body } = await call(undefined, { 'x-token': me, cookie: `token=${you}` }, `/?token=${you}`)
    assert.equal(status, 200)
    assert.equal(JSON.parse(Buffer.from(JSON.parse(body).payload, 'base64url').toString()).sub, 'me')
    assert.equal((await call(undefined, { 'x-token': you }, `/?token=${me}`)).status, 403)
  })

  test('a CORS preflight passes with whatever token, and grants nothing', async t => {
    const preflight = { origin: 'https://shop.test', 'access-control-request-method': 'POST' }
    const ask = await start(t, authentication(local))
    const expired = await sign({ exp: seconds - 120 })
    assert.equal((await ask(expired, preflight, '/', 'OPTIONS')).status, 200)
    assert.equal((await ask(expired, { ...preflight, origin: '' }, '/', 'OPTIONS')).status, 401)
    assert.equal((await ask(expired, { origin: preflight.origin }, '/', 'OPTIONS')).status, 401)
    assert.equal((await ask(expired, preflight, '/', 'GET')).status, 401)
    const strict = await start(t, authentication(local) + policy("{ from: [{ source: { requestPrincipals: ['*'] } }] }"))
    assert.equal((await strict(await sign(), preflight, '/', 'OPTIONS')).status, 403)
  })

  test('E3: keys are fetched; while they cannot be, nobody is let in, and known ones are kept', async t => {
    let isUp = false
    const keys = await serve(t, (_request, response) => {
      response.statusCode = isUp ? 200 : 500
      response.end(isUp ? JSON.stringify(jwks) : '')
    })
    const call = await start(t, authentication(`jwksUri: '${keys}/keys'`))
    assert.equal((await call(await sign())).status, 401)
    isUp = true
    assert.equal((await call(await sign())).status, 200)
    isUp = false
    assert.equal((await call(await sign())).status, 200)
  })

  test('keys are found by what an issuer tells of itself', async t => {
    const origin = await serve(t, (request, response) => {
      const isDiscovery = request.url === '/.well-known/openid-configuration'
      response.end(JSON.stringify(isDiscovery ? { issuer: origin, jwks_uri: `${origin}/keys` } : jwks))
    })
    const call = await start(t, authentication('audiences: [shop]').replace(issuer, `'${origin}'`))
    assert.equal((await call(await sign({ iss: origin }))).status, 200)
    assert.equal((await call(await sign({ iss: origin }, other.privateKey))).status, 401)
  })
})
