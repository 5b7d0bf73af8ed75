import type { ScalarTag, SchemaOptions, Tags } from 'yaml'

/** `0o17`, which YAML 1.1 lacks and Go has. */
const octal: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  format: 'OCT',
  test: /^[-+]?0o[0-7_]+$/,
  resolve: text => Number.parseInt(text.replace(/_|0o/g, ''), 8),
}

/** A number has a digit before its exponent: `.` and `e1`, which YAML 1.1 lets be numbers, are texts to Go. */
const float: ScalarTag = {
  tag: 'tag:yaml.org,2002:float',
  default: true,
  test: /^[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$/,
  resolve: text => Number.parseFloat(text.replaceAll('_', '')),
}

/**
 * YAML as Kubernetes reads it, which is YAML 1.1 as Go reads it: `no` and `on` are booleans, `010` is 8, `1_000` is 1000 and `<<`
 * merges, but `1:30` and `2020-01-01` are strings.
 */
export const kubernetesYaml: SchemaOptions & { readonly version: '1.1' } = {
  version: '1.1',
  customTags: (tags: Tags): Tags => [
    octal,
    ...tags.filter(
      tag => typeof tag === 'string' || (tag.tag !== 'tag:yaml.org,2002:timestamp' && !isTime(tag) && !takesNoDigit(tag)),
    ),
    float,
  ],
}

const takesNoDigit = (tag: object): boolean =>
  'test' in tag && tag.test instanceof RegExp && (tag.test.test('.') || tag.test.test('e1'))
const isTime = (tag: object): boolean => 'format' in tag && tag.format === 'TIME'
