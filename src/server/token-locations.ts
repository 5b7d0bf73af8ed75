import type { JwtProvider } from '../policies/jwt-provider.ts'
import type { RequestView } from './request-view.ts'

/** A token, and the header that it came in; `undefined`: it came in the path or a cookie. */
export interface FoundToken {
  readonly text: string
  readonly header: string | undefined
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
    return isThere && text !== '' ? [{ text, header: name }] : []
  })
}

function inParams({ path, pathname }: RequestView, names: readonly string[]): FoundToken[] {
  if (names.length === 0 || path.length === pathname.length) return []
  const query = new URLSearchParams(path.slice(pathname.length + 1))
  return names.flatMap(name => query.getAll(name).map(text => ({ text, header: undefined })))
}

function inCookies(request: RequestView, names: readonly string[]): FoundToken[] {
  if (names.length === 0) return []
  const value = request.header('cookie') ?? ''
  const cookies = (typeof value === 'string' ? value : value.join('; ')).split(';').map(each => each.trim())
  return names.flatMap(name =>
    cookies.filter(each => each.startsWith(`${name}=`)).map(each => ({ text: each.slice(name.length + 1), header: undefined })),
  )
}
