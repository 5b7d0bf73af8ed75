import { create } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { AnySchema } from '@bufbuild/protobuf/wkt'
import {
  type HttpFilter,
  HttpFilterSchema,
} from 'inmesh/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb'
import type { JwtProvider, RequestAuthenticationFilter } from './request-authentication-filter.ts'

const typeUrl = 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication'
const name = 'envoy.filters.http.jwt_authn'
/** As Istio sets it: claims that are lists by convention. */
const alwaysSpaced = ['scope', 'permission']

/**
 * `JwtAuthentication`, written by its field numbers, since no package has generated types for it: the providers, and one rule for every path
 * that asks for any of them or for no token at all.
 */
export function jwtAuthnFilter({ providers }: RequestAuthenticationFilter): HttpFilter {
  const writer = new BinaryWriter()
  for (const provider of providers) {
    const entry = text(new BinaryWriter(), 1, provider.name)
    message(writer, 1, message(entry, 2, providerMessage(provider)))
  }
  message(writer, 2, rule(providers.map(each => each.name)))
  // As Istio sets it: a preflight carries no token of its own accord.
  writer.tag(4, WireType.Varint).bool(true)
  const value = create(AnySchema, { typeUrl, value: writer.finish() })
  return create(HttpFilterSchema, { name, configType: { case: 'typedConfig', value } })
}

function providerMessage(provider: JwtProvider): BinaryWriter {
  const writer = new BinaryWriter()
  if (provider.issuer !== '') text(writer, 1, provider.issuer)
  for (const audience of provider.audiences) text(writer, 2, audience)
  if (provider.jwks === '') message(writer, 3, remoteKeys(provider))
  else message(writer, 4, text(new BinaryWriter(), 3, provider.jwks))
  if (provider.forwardOriginalToken) writer.tag(5, WireType.Varint).bool(true)
  for (const { name: header, prefix } of provider.fromHeaders)
    message(writer, 6, text(text(new BinaryWriter(), 1, header), 2, prefix))
  for (const param of provider.fromParams) text(writer, 7, param)
  if (provider.outputPayloadToHeader !== '') text(writer, 8, provider.outputPayloadToHeader)
  text(writer, 9, 'payload')
  for (const cookie of provider.fromCookies) text(writer, 13, cookie)
  for (const { header, claim } of provider.outputClaimToHeaders)
    message(writer, 15, text(text(new BinaryWriter(), 1, header), 2, claim))
  const spaced = new BinaryWriter()
  for (const claim of [...alwaysSpaced, ...provider.spaceDelimitedClaims]) text(spaced, 1, claim)
  return message(writer, 18, spaced)
}

/** `RemoteJwks { http_uri = 1 { uri = 1, cluster = 2, timeout = 3 } }` */
function remoteKeys({ issuer, jwksUri: given, timeoutMs }: JwtProvider): BinaryWriter {
  // Where OpenID Connect Discovery says that keys are told of; the server follows it.
  const jwksUri = given || `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const timeout = new BinaryWriter().tag(1, WireType.Varint).int64(Math.floor(timeoutMs / 1000))
  timeout.tag(2, WireType.Varint).int32((timeoutMs % 1000) * 1_000_000)
  const uri = text(text(new BinaryWriter(), 1, jwksUri), 2, hostOf(jwksUri))
  return message(new BinaryWriter(), 1, message(uri, 3, timeout))
}

/** `RequirementRule { match = 1 { prefix = 1 }, requires = 2 { requires_any = 3 { requirements = 1 } } }` */
function rule(providers: readonly string[]): BinaryWriter {
  const list = new BinaryWriter()
  for (const each of providers) message(list, 1, text(new BinaryWriter(), 1, each))
  message(list, 1, message(new BinaryWriter(), 6, new BinaryWriter()))
  const requires = message(new BinaryWriter(), 3, list)
  return message(message(new BinaryWriter(), 1, text(new BinaryWriter(), 1, '/')), 2, requires)
}

function text(writer: BinaryWriter, field: number, value: string): BinaryWriter {
  return writer.tag(field, WireType.LengthDelimited).string(value)
}

function message(writer: BinaryWriter, field: number, value: BinaryWriter): BinaryWriter {
  return writer.tag(field, WireType.LengthDelimited).bytes(value.finish())
}

/** An issuer need not be a URL; its keys can then not be had, and its tokens are refused. */
function hostOf(uri: string): string {
  return URL.canParse(uri) ? new URL(uri).host : ''
}
