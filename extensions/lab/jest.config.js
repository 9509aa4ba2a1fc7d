// Tests of models and charts run without a browser; what needs one is tested in a real one (tests/ui).
const jestJupyterLab = require('@jupyterlab/testing/lib/jest-config');

const modules = [
  '@codemirror',
  '@jupyter',
  '@jupyterlab',
  '@lumino',
  '@microsoft',
  '@marijn',
  '@rjsf',
  'color-name',
  'exenv-es6',
  'lib0',
  'marked',
  'style-mod',
  'vscode-jsonrpc',
  'w3c-keyname',
  'y-protocols',
  'yjs'
].join('|');

module.exports = {
  ...jestJupyterLab(__dirname),
  reporters: ['default'],
  automock: false,
  coverageReporters: ['text'],
  modulePathIgnorePatterns: ['<rootDir>/build/', '<rootDir>/lib/'],
  testRegex: 'src/.*\\.test\\.tsx?$',
  transform: {
    '\\.tsx?$': ['ts-jest', { tsconfig: 'tsconfig.test.json' }],
    '\\.m?jsx?$': 'babel-jest',
    '\\.svg$': '@jupyterlab/testing/lib/jest-raw-loader.js'
  },
  transformIgnorePatterns: [`/node_modules/(?!(${modules})).+`]
};
