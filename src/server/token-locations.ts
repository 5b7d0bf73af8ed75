import type { JwtProvider } from '../policies/jwt-provider.ts'
import type { RequestView } from './request-view.ts'

/** A token, and where it came from. */
export interface FoundToken {
  readonly text: string
  readonly place: { readonly kind: 'header' | 'param'; readonly name: string } | { readonly kind: 'cookie' }
}

/** Takes a token out of what the application will see, but not out of cookies (JwtProvider.forward). */
export function takeOff(request: RequestView, { place }: FoundToken): void {
  if (place.kind === 'header') request.removeHeader(place.name)
  else if (place.kind === 'param') request.setPath(withoutParam(request.path, place.name))
}

/** The tokens of a request where a provider looks for them: in the places that it names, else `Authorization: Bearer` and `access_token`. */
export function tokensIn(request: RequestView, { fromHeaders, fromParams, fromCookies }: JwtProvider): readonly FoundToken[] {
  const isDefault = fromHeaders.length + fromParams.length + fromCookies.length === 0
  const headers = isDefault ? [{ name: 'authorization', prefix: 'Bearer ' }] : fromHeaders
  const params = isDefault ? ['access_token'] : fromParams
  return [
    ...headers.flatMap(({ name, prefix }) => inHeader(request, name, prefix)),
    ...inParams(request, params),
    ...inCookies(request, fromCookies),
  ]
}

function inHeader(request: RequestView, name: string, prefix: string): FoundToken[] {
  const value = request.header(name)
  const values = value === undefined ? [] : typeof value === 'string' ? [value] : value
  return values.flatMap(each => {
    const isThere = each.slice(0, prefix.length).toLowerCase() === prefix.toLowerCase()
    const text = each.slice(prefix.length).trim()
    return isThere && text !== '' ? [{ text, place: { kind: 'header' as const, name } }] : []
  })
}

function inParams({ path, pathname }: RequestView, names: readonly string[]): FoundToken[] {
  if (names.length === 0 || path.length === pathname.length) return []
  const query = new URLSearchParams(path.slice(pathname.length + 1))
  return names.flatMap(name => query.getAll(name).map(text => ({ text, place: { kind: 'param' as const, name } })))
}

function inCookies(request: RequestView, names: readonly string[]): FoundToken[] {
  if (names.length === 0) return []
  const value = request.header('cookie') ?? ''
  const cookies = (typeof value === 'string' ? value : value.join('; ')).split(';').map(each => each.trim())
  return names.flatMap(name =>
    cookies
      .filter(each => each.startsWith(`${name}=`))
      .map(each => ({ text: each.slice(name.length + 1), place: { kind: 'cookie' as const } })),
  )
}

/** The others stay as they were written. */
function withoutParam(path: string, name: string): string {
  const at = path.indexOf('?')
  if (at < 0) return path
  const kept = path
    .slice(at + 1)
    .split('&')
    .filter(each => !new URLSearchParams(each).has(name))
  return kept.length === 0 ? path.slice(0, at) : `${path.slice(0, at)}?${kept.join('&')}`
}
