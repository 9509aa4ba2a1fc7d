// As small as can be: fields that TypeScript keeps private have short names, too.
const { rspack } = require('@rspack/core');

module.exports = {
  optimization: {
    minimizer: [
      new rspack.SwcJsMinimizerRspackPlugin({
        minimizerOptions: {
          compress: { passes: 3, ecma: 2020, pure_getters: true },
          // All but `_n` and its like, which are the translator's.
          mangle: { props: { regex: '^_[a-z]+[A-Z]|^_[a-z]{3,}' } },
          format: { comments: false }
        }
      })
    ]
  }
};
