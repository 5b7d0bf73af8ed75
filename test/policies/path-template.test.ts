import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compilePathTemplate, compilePathTemplateRewrite } from '../../src/policies/path-template.ts'

const matching: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['/a/b', ['/a/b'], ['/a', '/a/b/', '/axb']],
  ['/a.b', ['/a.b'], ['/axb']],
  ['/{id}', ['/1', '/a-b.c~d'], ['/', '/1/2']],
  ['/a/*/c', ['/a/b/c'], ['/a//c', '/a/b/b/c']],
  ['/a/**', ['/a/', '/a/b/c'], ['/a', '/b/a/']],
  ['/a/{rest=**}.html', ['/a/b/c.html', '/a/.html'], ['/a/b']],
  ['/{where=shops/*}/x', ['/shops/1/x'], ['/1/x', '/shops/1/2/x']],
]
for (const [template, yes, no] of matching) {
  test(`${template} matches whole paths`, () => {
    const compiled = compilePathTemplate(template)
    for (const path of yes) assert.ok(compiled.matches(path), path)
    for (const path of no) assert.ok(!compiled.matches(path), path)
  })
}

const wrong: readonly (readonly [string, RegExp])[] = [
  ['a', /must begin with \//],
  ['/{a', /unclosed { at 1/],
  ['/{1a}', /invalid variable name "1a"/],
  ['/{a}/{a}', /variable "a" twice/],
  ['/**/*', /\*\* must be the last operator/],
  ['/{a}/{b}/{c}/{d}/{e}/{f}', /more than 5 variables/],
  ['/a*b', /operator inside the segment "a\*b"/],
]
for (const [template, error] of wrong) {
  test(`${template} is refused`, () => assert.throws(() => compilePathTemplate(template), error))
}

test('a rewrite takes the variables in any order, and only those there are', () => {
  const match = compilePathTemplate('/{a}/{b=**}')
  assert.equal(compilePathTemplateRewrite('/x/{b}-{a}', match).rewrite('/1/2/3'), '/x/2/3-1')
  assert.equal(compilePathTemplateRewrite('/x', match).rewrite('/'), null)
  assert.throws(() => compilePathTemplateRewrite('/{c}', match), /names the variable "c"/)
  assert.throws(() => compilePathTemplateRewrite('/{a}/*', match), /has an operator/)
})
